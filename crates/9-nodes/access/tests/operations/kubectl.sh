# A fake kubectl for the cases in main.rs. Its cluster is the folder $FAKE: node-NAME.json, pod-status.json, logs, summary;
# `calls` gets one line per call. Programs that it is to run in a pod run here, with $FAKE/root as the node's root.
printf '%s\n' "$*" | head -n 1 >>"$FAKE/calls"

refuse() {
    echo "Error from server ($1): $2" >&2
    exit 1
}

show() {
    [ -e "$FAKE/$1" ] || refuse "$2" "$1"
    cat "$FAKE/$1"
}

get() {
    case $1 in
        node) show "node-$2.json" NotFound ;;
        nodes) echo '{"items":['"$(cat "$FAKE"/node-*.json | paste -sd , -)"']}' ;;
        pod) show pod-status.json NotFound ;;
        pods) echo '{"items":[]}' ;;
        --raw)
            case $2 in
                */proxy/logs/*) show logs Forbidden ;;
                */proxy/stats/summary) show summary ServiceUnavailable ;;
                *) echo "{\"path\":\"$2\"}" ;;
            esac
            ;;
        *) show "$1" Forbidden ;;
    esac
}

run() {
    while [ "$1" != -- ]; do shift; done
    shift
    if [ "$1 $2 $4" = 'sh -c sh' ] && [ "$3" = '"$@"' ]; then shift 4; fi
    case $1 in nsenter | /usr/bin/nsenter) shift 5 ;; esac
    echo "run $*" | head -n 1 >>"$FAKE/calls"
    case $1 in
        journalctl) echo "journal of $*"; echo "got abcdef.0123456789abcdef" ;;
        /usr/bin/systemctl)
            mv "$FAKE/next-boot.json" "$FAKE/node-node-1.json"
            echo 'error: unexpected EOF' >&2
            exit 1
            ;;
        basalt-node) echo '{"joined":false,"token":"hidden"}'; exit 1 ;;
        /usr/bin/basalt-node | systemctl | networkctl | resolvectl | crictl) echo "$1" ;;
        iptables-save | ip6tables-save) refuse Internal 'exec: no such program' ;;
        *) HOST_ROOT=$FAKE/root "$@" ;;
    esac
}

case $1 in
    create)
        cat >"$FAKE/created.json"
        [ ! -e "$FAKE/refuse-pods" ] || refuse Forbidden 'violates PodSecurity "baseline:latest"'
        ;;
    get) shift; get "$@" ;;
    exec) run "$@" ;;
    *) echo "$1" ;;
esac
