#!/bin/sh
# Prints a transcript of a scheme 0 session, enciphered by openssl alone (see README.md).
#
#   make_transcript.sh <C|A|B> <vehicle id> <secret> <server token> <client token> [unpadded] < messages
#
# Each line of `messages` is `car> <message>` or `srv> <message>`: who sends it, and the code and data in clear.
set -eu
kind=$1 vehicle=$2 secret=$3 server=$4 client=$5 padding=${6:-padded}

mac() { printf %s "$1" | openssl dgst -md5 -mac HMAC -macopt "key:$secret" -binary; }
rc4() { openssl enc -rc4 -K "$key" -provider legacy -provider default; }

proof=$(mac "$client" | base64)
[ "$padding" = padded ] || proof=${proof%==}
key=$(mac "$server$client" | od -An -tx1 | tr -d ' \n')
work=$(mktemp -d)
trap 'rm -r "$work"' EXIT
# The 1,024 bytes that are thrown away.
head -c 1024 /dev/zero | tee "$work/car" > "$work/srv"

echo "# secret $secret, server token $server"
echo "car> MP-$kind 0 $client $proof $vehicle"
echo "srv> MP-S 0 $server $(mac "$server" | base64)"
while IFS= read -r line; do
    who=${line%%> *}
    sent=$(wc -c < "$work/$who")
    # One stream a direction: all that this side has sent is enciphered again, and the end of it is the new line.
    printf 'MP-0 %s' "${line#*> }" >> "$work/$who"
    echo "$who> $(rc4 < "$work/$who" | tail -c "+$((sent + 1))" | base64 -w0)"
    echo "     (MP-0 ${line#*> })"
done
