# shellcheck shell=bash disable=SC2154 # trial.sh sets what is not set here
# Nodes as containers of deploy/docker-compose.yml with deploy/docker-compose.chaos.yml over it: each has a
# small disk of its own, in a file, and libchaos.so under its C library. Needs root, for disks and for
# iptables inside of the containers' networks; Docker alone does not offer one-way cuts or loss.

node_folder() { echo "$CHAOS_DIR/$1"; }
node_control() { echo "$CHAOS_DIR/$1/control"; }
node_disk() { echo "$CHAOS_DIR/$1/disk"; }
node_url() { echo "http://$1:7420"; }
outside_url() { echo "http://outside-world:7500"; }

compose() {
    local program=(docker-compose)
    docker compose version > /dev/null 2>&1 && program=(docker compose)
    CHAOS_DIR=$CHAOS_DIR APUS_NAME=$CHAOS_NAME APUS_PORTS=2342 APUS_OUTSIDE_PORT=23500 \
        "${program[@]}" -p "$CHAOS_NAME" \
        -f "$deploy_folder/docker-compose.yml" -f "$deploy_folder/docker-compose.chaos.yml" "$@"
}

node_inspect() { docker inspect -f "$2" "$CHAOS_NAME-$1"; } # NODE FORMAT
node_address() { node_inspect "$1" '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}'; }
node_iptables() { nsenter -t "$(node_inspect "$1" '{{.State.Pid}}')" -n iptables "${@:2}"; }
node_is_running() { [[ $(node_inspect "$1" '{{.State.Running}}') == true ]]; }

in_client() { docker exec -i "$CHAOS_NAME-client" "$@"; }
# What runs in a container does not end with who has started it.
clients_end() { docker restart -t 0 "$CHAOS_NAME-client" > /dev/null; } # PID...

node_start() { docker start "$CHAOS_NAME-$1" > /dev/null; }
# Docker does not start again what somebody killed or stopped; what ends by itself it does.
node_kill() { docker kill "$CHAOS_NAME-$1" > /dev/null 2>&1 || true; }
node_stop() { docker stop -t 45 "$CHAOS_NAME-$1" > /dev/null; }
node_pause() { docker pause "$CHAOS_NAME-$1" > /dev/null; }
node_resume() { docker unpause "$CHAOS_NAME-$1" > /dev/null 2>&1 || true; }
node_wipe() { find "$(node_disk "$1")/data" -mindepth 1 -delete; }

# MARK: Up and down

make_disk() { # NODE
    local folder
    folder=$(node_folder "$1")
    mkdir -p "$folder/disk"
    truncate -s "${CHAOS_DISK:-2G}" "$folder/disk.image"
    mkfs.ext4 -q -F -m 0 "$folder/disk.image"
    mount -o loop "$folder/disk.image" "$folder/disk"
    install -d -o 7420 -g 7420 -m 0750 "$folder/disk/data"
    control_make "$folder/control"
    chown 7420 "$folder/control"
}

cluster_up() {
    local node hosts=()
    [[ $(id -u) == 0 ]] || stop "disks and iptables need root"
    [[ $CHAOS_NODES == 3 ]] || stop "docker-compose.yml has three nodes"
    docker image inspect apus:chaos > /dev/null 2>&1 || stop "there is no image apus:chaos; make image-chaos"
    for node in $(node_names); do make_disk "$node"; done
    compose up -d node1 node2 node3 outside-world
    # The name of a container that is down goes on to the DNS outside, whose silence would pass for an outage.
    # One node at a time is down, so that each comes back at its address.
    for node in $(node_names); do hosts+=(--add-host "$node:$(node_address "$node")"); done
    docker run -d --name "$CHAOS_NAME-client" --network "${CHAOS_NAME}_default" --no-healthcheck \
        "${hosts[@]}" apus:chaos sleep infinity > /dev/null
}

cluster_down() {
    local node
    docker rm -f "$CHAOS_NAME-client" > /dev/null 2>&1 || true
    compose down -v -t 5
    for node in $(node_names); do
        mountpoint -q "$(node_disk "$node")" && until_within 10 umount "$(node_disk "$node")"
    done
}
