# Makes lines for `stoa import` of what mongoexport wrote of a usual Mongoose chat:
#
#   mongoexport --uri "$MONGO" --collection users         --out users.json
#   mongoexport --uri "$MONGO" --collection conversations --out conversations.json
#   mongoexport --uri "$MONGO" --collection messages      --out messages.json
#   jq -c -f mongo.jq users.json conversations.json messages.json > lines.jsonl
#
# A document with `participants` is a conversation, one with `sender` a message, any other a user.

# An ObjectId, or whatever else is an id.
def id: if type == "object" then .["$oid"] // .["$uuid"] // tostring else tostring end;
def maybe_id: if . == null then null else id end;

# A date, relaxed or canonical.
def time:
  (if type == "object" then .["$date"] else . end)
  | (if type == "object" then .["$numberLong"] | tonumber else . end)
  | if type == "number"
    then (. / 1000 | floor | strftime("%Y-%m-%dT%H:%M:%S")) + "." + ("00\(. % 1000)" | .[-3:]) + "Z"
    else . end;
def maybe_time: if . == null then null else time end;

def some: if . == "" then null else . end;

def user: {
  type: "user", id: ._id | id,
  profile: {
    firstName: .firstName | some, lastName: .lastName | some, name: .name | some,
    email: .email | some, avatarUrl: .avatar | some
  }
};

# Nobody wants to come back to years of unread messages: what was written last counts as read.
def conversation:
  . as $it | (.lastMessage | maybe_id) as $last | {
    type: "conversation", id: ._id | id,
    kind: (if .isGroup then "group" else "direct" end),
    title: .name | some, createdBy: (.admin // .createdBy // .participants[0]) | id,
    createdAt: .createdAt | time,
    participants: [.participants[] | { userId: id, lastReadMessageId: $last }]
  };

def message: {
  type: "message", id: ._id | id, conversationId: .conversation | id, senderId: .sender | id,
  content: (.content // .text // ""),
  attachments: [(.attachments // [])[] | if type == "string" then { url: . } else del(._id) end],
  replyTo: .replyTo | maybe_id, createdAt: .createdAt | time, editedAt: .editedAt | maybe_time,
  deletedAt: (if .isDeleted then (.deletedAt // .updatedAt | time) else null end),
  reactions: [(.reactions // [])[] | { emoji, userId: .user | id }]
};

if has("participants") then conversation elif has("sender") then message else user end
