# shellcheck shell=bash disable=SC2154 # trial.sh sets what is not set here
# Nodes as plain processes. Each has a network namespace of its own, on a switch that is in another one: no
# packet of a trial is ever seen by this machine's own network. Each has a small disk of its own, in a file.
# Needs root.

address_prefix=198.18.42 # of the range that is set aside for tests (RFC 2544)

node_folder() { echo "$CHAOS_DIR/$1"; }
node_control() { echo "$CHAOS_DIR/$1/control"; }
node_disk() { echo "$CHAOS_DIR/$1/disk"; }
node_address() { echo "$address_prefix.$((10 + ${1#node}))"; }
node_url() { echo "http://$(node_address "$1"):7420"; }
node_iptables() { ip netns exec "$CHAOS_NAME-$1" iptables "${@:2}"; }
client_address=$address_prefix.100
outside_url() { echo "http://$client_address:7500"; }

in_client() { PATH=$APUS_BIN:$deploy_folder:$PATH ip netns exec "$CHAOS_NAME-client" "$@"; }

clients_end() { kill "$@" 2> /dev/null || true; } # PID...

node_pid() { cat "$CHAOS_DIR/$1/pid" 2> /dev/null; }
node_is_running() { kill -0 "$(node_pid "$1")" 2> /dev/null; }

# Starts a node, and starts it again whenever it ends by itself, as a supervisor does.
node_start() { # NODE
    local folder address
    folder=$(node_folder "$1")
    address=$(node_address "$1")
    rm -f "$folder/stopped"
    setsid "$chaos_folder/lib/keep-running" "$folder" ip netns exec "$CHAOS_NAME-$1" \
        env LD_PRELOAD="$CHAOS_DIR/libchaos.so" CHAOS_CONTROL="$folder/control" \
        APUS_OUTSIDE_URL="$(outside_url)" \
        "$APUS_BIN/announced" serve --data "$folder/disk/data" --listen "$address:7420" \
        --mesh "$address:7430" > /dev/null 2>&1 < /dev/null &
}

node_signal() { kill -s "$2" "$(node_pid "$1")" 2> /dev/null || true; } # NODE SIGNAL

node_end() { # NODE SIGNAL; it is not started again
    touch "$CHAOS_DIR/$1/stopped"
    node_signal "$1" "$2"
}

node_has_ended() { ! node_is_running "$1"; }
node_kill() {
    node_end "$1" KILL
    until_within 10 node_has_ended "$1"
}
node_stop() {
    node_end "$1" TERM
    until_within 45 node_has_ended "$1" || node_kill "$1"
}
node_pause() { node_signal "$1" STOP; }
node_resume() { node_signal "$1" CONT; }
node_wipe() { rm -rf "$(node_disk "$1")/data"; }

# MARK: Up and down

plug_in() { # NAME ADDRESS
    local namespace=$CHAOS_NAME-$1
    ip netns add "$namespace"
    ip -n "$CHAOS_NAME-switch" link add "port-$1" type veth peer name eth0 netns "$namespace"
    ip -n "$CHAOS_NAME-switch" link set "port-$1" master switch up
    ip -n "$namespace" link set lo up
    ip -n "$namespace" addr add "$2/24" dev eth0
    ip -n "$namespace" link set eth0 up
}

make_disk() { # NODE
    local folder
    folder=$(node_folder "$1")
    mkdir -p "$folder/disk"
    truncate -s "${CHAOS_DISK:-2G}" "$folder/disk.image"
    mkfs.ext4 -q -F -m 0 "$folder/disk.image"
    mount -o loop "$folder/disk.image" "$folder/disk"
    control_make "$folder/control"
}

cluster_up() {
    local node program
    [[ $(id -u) == 0 ]] || stop "network namespaces and disks need root"
    for program in announced apus apus-load apus-probe outside-world; do
        [[ -x $APUS_BIN/$program ]] \
            || stop "there is no $APUS_BIN/$program; swift build -c release --product $program"
    done
    cc -std=c11 -O2 -shared -fPIC -o "$CHAOS_DIR/libchaos.so" "$chaos_folder/faults.c"
    ip netns add "$CHAOS_NAME-switch"
    ip -n "$CHAOS_NAME-switch" link add switch type bridge
    ip -n "$CHAOS_NAME-switch" link set switch up
    plug_in client "$client_address"
    mkdir -p "$CHAOS_DIR/outside-world"
    setsid "$chaos_folder/lib/keep-running" "$CHAOS_DIR/outside-world" ip netns exec "$CHAOS_NAME-client" \
        "$APUS_BIN/outside-world" --listen "$client_address:7500" > /dev/null 2>&1 < /dev/null &
    for node in $(node_names); do
        plug_in "$node" "$(node_address "$node")"
        make_disk "$node"
        node_start "$node"
    done
}

cluster_down() {
    local node name
    for name in outside-world $(node_names); do
        [[ -d $CHAOS_DIR/$name ]] && node_resume "$name" && node_kill "$name"
    done
    for node in $(node_names); do
        mountpoint -q "$(node_disk "$node")" && until_within 10 umount "$(node_disk "$node")"
    done
    for name in $(node_names) client switch; do ip netns delete "$CHAOS_NAME-$name" 2> /dev/null || true; done
}
