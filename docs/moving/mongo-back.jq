# Makes documents for mongoimport of what `stoa export` wrote, for the schema that mongo.jq reads:
#
#   jq -cn --arg collection conversations -f mongo-back.jq lines.jsonl > conversations.json
#   jq -cn --arg collection messages      -f mongo-back.jq lines.jsonl > messages.json
#   mongoimport --uri "$MONGO" --collection conversations --mode merge --file conversations.json
#   mongoimport --uri "$MONGO" --collection messages      --mode merge --file messages.json
#
# What has an ObjectId keeps it. What was made here has a UUID, which tells when that was (version 7): of it
# comes an ObjectId of that second, always the same one, so that all this can be done again.

def number: reduce (explode[] | if . > 96 then . - 87 else . - 48 end) as $digit (0; . * 16 + $digit);
def digits($count):
  [limit($count; recurse(. / 16 | floor)) | . % 16 | if . > 9 then . + 87 else . + 48 end]
  | reverse | implode;

def oid:
  if test("^[0-9a-f]{24}$") then { "$oid": . }
  elif test("^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}$") then
    gsub("-"; "") | { "$oid": ((.[:12] | number / 1000 | floor | digits(8)) + .[16:]) }
  else . end;
def date: { "$date": . };
def some: with_entries(select(.value != null));

def conversation: {
  _id: .id | oid, isGroup: (.kind == "group"), name: .title, admin: .createdBy | oid,
  participants: [.participants[].userId | oid], createdAt: .createdAt | date
} | some;

# What was taken back is taken back there, too.
def message: {
  _id: .id | oid, conversation: .conversationId | oid, sender: .senderId | oid,
  content: (.content // ""), attachments: (.attachments // []),
  replyTo: (if .replyTo then .replyTo | oid else null end),
  reactions: [(.reactions // [])[] | { emoji, user: .userId | oid }],
  createdAt: .createdAt | date, editedAt: (if .editedAt then .editedAt | date else null end),
  isDeleted: (.deletedAt != null), deletedAt: (if .deletedAt then .deletedAt | date else null end)
} | some;

# A conversation is followed by its messages, the last of them last.
if $collection == "messages" then inputs | select(.type == "message") | message
elif $collection == "conversations" then
  reduce inputs as $line ({};
    if $line.type == "conversation" then .[$line.id] += ($line | conversation)
    elif $line.type == "message" then
      .[$line.conversationId].lastMessage = ($line.id | oid)
      | .[$line.conversationId].updatedAt = ($line.createdAt | date)
    else . end)
  | .[]
else error("say --arg collection conversations, or messages")
end
