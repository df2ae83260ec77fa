#!/bin/sh
# Signs a cluster-info kubeconfig as the token cleaner of a cluster does: detached JWS (RFC 7515, appendix F), HS256, key id.
# Usage: sign.sh KUBECONFIG TOKEN; made cluster-info.jws from cluster-info.yaml and abcdef.0123456789abcdef.
set -eu
url() { basenc --base64url -w0 | tr -d =; }
header=$(printf '{"alg":"HS256","kid":"%s"}' "${2%%.*}" | url)
payload=$(url <"$1")
signature=$(printf '%s.%s' "$header" "$payload" | openssl dgst -sha256 -hmac "${2#*.}" -binary | url)
printf '%s..%s\n' "$header" "$signature"
