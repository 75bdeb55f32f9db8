#!/bin/sh
# Every webhook, with curl, grep and sed. Each pull acks what the one before brought; what is not acked comes again.
#
#   export RESTANTE_URL=https://hooks.example.org RESTANTE_AUTH=1:TOKEN
#   sh examples/consume.sh orders
#
# ./handle ID FILE, in the same folder, is your program: exit code 0 = done. FILE has the bytes that came.
export LC_ALL=C
get() { curl -fsS --max-time 90 -u "$RESTANTE_AUTH" "$@"; }
ack=
while :; do
  get -o pulled "$RESTANTE_URL/consumers/$1/pull" -d "{\"limit\":20,\"wait\":50$ack}" || { sleep 5; continue; }
  lease=$(sed -n 's/^{"lease":"\([^"]*\)".*/\1/p' pulled)
  ids=
  for id in $(grep -o '{"id":[0-9]*,"content":"' pulled | tr -dc '0-9\n'); do
    get -o body "$RESTANTE_URL/whcontent/$id/raw" && ./handle "$id" body && ids=$ids,$id
  done
  ack=${ids:+",\"ack\":{\"lease\":\"$lease\",\"ids\":[${ids#,}]}"}
done
