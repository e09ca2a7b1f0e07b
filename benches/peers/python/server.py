"""python-socketio on aiohttp and uvloop: the same work as every peer."""

import os
from collections import Counter

import jwt
import socketio
import uvloop
from aiohttp import web

SECRET = os.environ["JWT_SECRET"]
PRESENCE = os.environ.get("PRESENCE") == "on"

sio = socketio.AsyncServer(async_mode="aiohttp", cors_allowed_origins="*")
users: dict[str, str] = {}
connections: Counter[str] = Counter()


@sio.event
async def connect(sid, environ, auth):
    try:
        user_id = jwt.decode(auth["token"], SECRET, algorithms=["HS256"])["userId"]
    except (jwt.PyJWTError, KeyError, TypeError) as error:
        raise socketio.exceptions.ConnectionRefusedError(
            f"Authentication error: {error}"
        ) from error
    users[sid] = user_id
    connections[user_id] += 1
    if PRESENCE and connections[user_id] == 1:
        await sio.emit("user:online", {"userId": user_id}, skip_sid=sid)


@sio.event
async def disconnect(sid, reason):
    user_id = users.pop(sid)
    connections[user_id] -= 1
    if PRESENCE and connections[user_id] == 0:
        await sio.emit("user:offline", {"userId": user_id}, skip_sid=sid)


@sio.on("conversation:join")
async def join(sid, conversation_id):
    room = f"conversation:{conversation_id}"
    await sio.enter_room(sid, room)
    return {"success": True, "conversationId": conversation_id, "room": room}


@sio.on("typing:start")
async def typing(sid, data):
    await sio.emit(
        "typing:start",
        {
            "userId": users[sid],
            "userName": data["userName"],
            "conversationId": data["conversationId"],
        },
        room=f"conversation:{data['conversationId']}",
        skip_sid=sid,
    )


app = web.Application()
sio.attach(app)
uvloop.install()
web.run_app(app, host="127.0.0.1", port=int(os.environ["PORT"]), print=None, access_log=None)
