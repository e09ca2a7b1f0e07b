# Makes lines for `stoa import` of what mongoexport wrote of a usual Mongoose chat:
#
#   mongoexport --uri "$MONGO" --collection users         --out users.json
#   mongoexport --uri "$MONGO" --collection conversations --out conversations.json
#   mongoexport --uri "$MONGO" --collection messages      --out messages.json
#   jq -c -f mongo.jq users.json conversations.json messages.json > lines.jsonl
#
# A document with `participants` is a conversation, one with `sender` a message, one with an address or
# a name a user. What is none of these is a fault, and so is an id that is none: better here than there.

# An ObjectId, or whatever else is an id.
def id:
  (if type == "object" then .["$oid"] // .["$uuid"] else . end) as $id
  | if ($id | type) == "string" or ($id | type) == "number" then $id | tostring
    else error("no id: \(tojson)") end;
def maybe_id: if . == null then null else id end;

# Who takes part: an id, or a document that has one.
def who: if type == "object" then .user // .userId // . else . end | id;

# A date, relaxed or canonical.
def time:
  (if type == "object" and has("$date") then .["$date"] else . end)
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
    title: .name | some, createdBy: (.admin // .createdBy // .participants[0]) | who,
    createdAt: .createdAt | time,
    participants: [.participants[] | { userId: who, lastReadMessageId: $last }]
  };

def message: {
  type: "message", id: ._id | id, conversationId: .conversation | id, senderId: .sender | id,
  content: (.content // .text // ""),
  attachments: [(.attachments // [])[] | if type == "string" then { url: . } else del(._id) end],
  replyTo: .replyTo | maybe_id, createdAt: .createdAt | time, editedAt: .editedAt | maybe_time,
  deletedAt: (if .isDeleted then (.deletedAt // .updatedAt | time) else null end),
  reactions: [(.reactions // [])[] | { emoji, userId: .user | id }]
};

if has("participants") then conversation
elif has("sender") then message
elif has("email") or has("name") or has("firstName") or has("lastName") then user
else error("neither a user, a conversation nor a message; it has \(keys | join(", "))")
end
