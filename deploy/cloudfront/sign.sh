#!/bin/sh
# Signs for CloudFront: lets a viewer in for a time. docs/cloudfront.md says how that is set up. It is an example: what it does, a
# back end that knows its viewers does in its own language, and then hands out what this prints.
#
#   sign.sh url     KEY ID SECONDS RESOURCE...    what is put behind a ? or & of each URL, one line for each resource
#   sign.sh cookies KEY ID SECONDS RESOURCE...    the Set-Cookie fields, for the path of each resource
#
# KEY is the private key (PEM, RSA of 2048 bits or ECDSA on P-256), ID the public key's (CloudFront's Key-Pair-Id). A RESOURCE
# is a URL as viewers ask for it; * stands for any characters, and a ? for any one.
set -eu

if [ $# -lt 5 ]; then
	sed -n 's/^# \{0,1\}//; 5,9p' "$0" >&2
	exit 2
fi
kind=$1 key=$2 id=$3 seconds=$4
shift 4

# CloudFront's base64: three characters mean something else in a URL.
base() { openssl base64 -A | tr '+=/' '-_~'; }

until=$(($(date +%s) + seconds))
for resource; do
	policy='{"Statement":[{"Resource":"'$resource'","Condition":{"DateLessThan":{"AWS:EpochTime":'$until'}}}]}'
	encoded=$(printf %s "$policy" | base)
	signature=$(printf %s "$policy" | openssl dgst -sha256 -sign "$key" | base)
	case $kind in
	url)
		echo "Policy=$encoded&Signature=$signature&Key-Pair-Id=$id&Hash-Algorithm=SHA256"
		;;
	cookies)
		# The browser sends them to this path alone: up to the first wildcard, and to the last slash before that where it is
		# in the middle of a name.
		path=/${resource#*://*/}
		case $path in
		*'*'*) path=${path%%'*'*} ;;
		esac
		for pair in "CloudFront-Policy=$encoded" "CloudFront-Signature=$signature" "CloudFront-Key-Pair-Id=$id" CloudFront-Hash-Algorithm=SHA256; do
			echo "Set-Cookie: $pair; Path=$path; Secure; HttpOnly; SameSite=None"
		done
		;;
	*)
		echo "sign.sh: $kind is neither url nor cookies" >&2
		exit 2
		;;
	esac
done
