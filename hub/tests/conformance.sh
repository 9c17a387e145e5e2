#!/bin/sh
# RFC 6455 conformance of a running hub: the Autobahn cases (PyPI `kosoku`) against its raw echo route.
#
#   hub/tests/conformance.sh [ws://HOST:PORT/v1/echo]
#
# Needs `kosoku` on the PATH, or KOSOKU naming it. Core cases only: 9.* measures throughput, 12.* and 13.* are compression, which the
# hub does not offer. LARGE=1 adds 9.* (messages of up to 16 MiB; minutes). Exits 0 when every case passed. Reports go to a folder of their own and are removed.
set -eu
url=${1:-ws://127.0.0.1:8080/v1/echo}
reports=$(mktemp -d)
trap 'rm -rf "$reports"' EXIT
large=${LARGE:-0}
[ "$large" = 1 ] || set -- -x '9.*'
[ "$large" = 0 ] || set --
"${KOSOKU:-kosoku}" "$@" -x '12.*' -x '13.*' -p 4 -o "$reports" "$url"
