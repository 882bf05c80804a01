#!/usr/bin/env bash
# A real Slurm of two to four virtual nodes on this machine, for tests: real slurmctld, slurmd, munge and MPI, fake
# GPUs. Everything lives in one folder and talks over 127.0.0.1 only; `down` leaves nothing behind.
set -euo pipefail

usage() {
  cat <<'TEXT'
Usage: slurm/test_cluster.sh COMMAND [--nodes N] [--dir DIR]

  up              start the cluster (2 nodes unless --nodes says 3 or 4), wait until its nodes are idle
  down            stop it and remove its folder
  status          say what runs; exit code 1 when it is not up
  kill NODE       what a power cut does: every process of that node dies, and what a reboot clears is cleared
  boot NODE       start a node again that was killed
  cut NODE        what a lost network does: Slurm hears no more of the node, whose ranks live on
  heal NODE       end that
  controller stop|start   take slurmctld away, and bring it back

  --dir DIR       the cluster's folder (default /tmp/xtasc-slurm); its parents must be open to everyone (munge asks)
  --nodes N       2 to 4, for `up`

Afterwards `export SLURM_CONF=DIR/slurm.conf`, and sbatch, squeue and srun use this cluster. It needs root (nodes are
namespaces of their own), and the Debian packages slurm-wlm, munge and openmpi-bin.
TEXT
}

readonly CPUS_PER_NODE=16
readonly GPUS_PER_NODE=2

say() { printf 'test cluster: %s\n' "$*"; }

die() {
  printf 'test cluster: error: %s\n' "$*" >&2
  exit 1
}

# ---- can this machine do it? -----------------------------------------------------------------------------------------
refuse_where_impossible() {
  local missing=() program folder
  for program in slurmctld slurmd munged mungekey sbatch; do
    command -v "$program" >/dev/null || missing+=("$program")
  done
  ((${#missing[@]} == 0)) \
    || die "not installed: ${missing[*]}; install slurm-wlm and munge (apt-get install slurm-wlm munge)"
  ((EUID == 0)) || die "needs root: each node gets namespaces and a hostname of its own"
  unshare --uts --mount --ipc --propagation private true 2>/dev/null \
    || die "this machine lets nobody make namespaces (unshare failed); a container needs CAP_SYS_ADMIN for it"
  folder="$(dirname "$DIR")"
  while [[ "$folder" != / ]]; do
    [[ -d "$folder" && "$(stat -c %A "$folder")" == *[xt] ]] \
      || die "$folder must exist and be open to everyone (chmod o+x), or munged refuses: choose another --dir"
    folder="$(dirname "$folder")"
  done
}

# ---- files -----------------------------------------------------------------------------------------------------------
is_listening() { (: </dev/tcp/127.0.0.1/"$1") 2>/dev/null; }

# The first of some blocks of ten ports that nobody listens on: other clusters may be up.
free_ports() {
  local base port
  for base in 16810 16830 16850 16870 16890 16910; do
    for port in $(seq "$base" $((base + 5))); do
      is_listening "$port" && continue 2
    done
    echo "$base"
    return
  done
  die "all the ports that it tries are taken: is an old cluster still up?"
}

write_configs() {
  local ports index
  ports="$(free_ports)"
  mkdir -p "$DIR"/{munge,ctld,spool,tmp,log,dev,run}
  chmod 755 "$DIR" "$DIR/munge"
  for ((index = 0; index < GPUS_PER_NODE; ++index)); do
    mknod "$DIR/dev/nvidia$index" c 1 3 # as /dev/null: enough for Slurm to count and hand out
  done
  cat >"$DIR/slurm.conf" <<TEXT
ClusterName=xtasctest
SlurmctldHost=$(hostname)(127.0.0.1)
SlurmctldPort=$ports
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
# cred_expire: a requeued job starts after 6 seconds instead of 121.
AuthInfo=socket=$DIR/munge/socket,cred_expire=5
StateSaveLocation=$DIR/ctld
SlurmdSpoolDir=$DIR/spool/%n
TmpFS=$DIR/tmp/%n
SlurmctldPidFile=$DIR/run/slurmctld.pid
SlurmdPidFile=$DIR/run/slurmd-%n.pid
SlurmctldLogFile=$DIR/log/slurmctld.log
SlurmdLogFile=$DIR/log/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/filetxt
JobCompLoc=$DIR/log/jobcomp.txt
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=sched_interval=2,bf_interval=2
MpiDefault=pmix
MailProg=/bin/true
ReturnToService=2
KillWait=5
SlurmdTimeout=10
SlurmctldTimeout=10
MinJobAge=600
MaxArraySize=1001
SlurmdParameters=config_overrides
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
GresTypes=gpu
NodeName=n[1-$NODES] NodeAddr=127.0.0.1 Port=[$((ports + 1))-$((ports + NODES))] \\
  CPUs=$CPUS_PER_NODE RealMemory=4000 Gres=gpu:fake:$GPUS_PER_NODE State=UNKNOWN
PartitionName=gpu Nodes=ALL Default=YES MaxTime=INFINITE State=UP PriorityTier=1 GraceTime=60
PartitionName=urgent Nodes=ALL MaxTime=INFINITE State=UP PriorityTier=10
TEXT
  echo "CgroupPlugin=cgroup/v1" >"$DIR/cgroup.conf" # else slurmd dies where nothing is mounted on /sys/fs/cgroup
  echo "NodeName=n[1-$NODES] Name=gpu Type=fake File=$DIR/dev/nvidia[0-$((GPUS_PER_NODE - 1))]" >"$DIR/gres.conf"
}

# ---- daemons ---------------------------------------------------------------------------------------------------------
start_munged() {
  (umask 077 && mungekey --create --keyfile "$DIR/munge/key") || die "mungekey could not make a key"
  munged --force --key-file="$DIR/munge/key" --socket="$DIR/munge/socket" --pid-file="$DIR/run/munged.pid" \
    --log-file="$DIR/log/munged.log" --seed-file="$DIR/munge/seed" 2>"$DIR/log/munged.start" \
    || die "munged did not start: $(tail -n 1 "$DIR/log/munged.start")"
}

start_controller() {
  SLURM_CONF="$DIR/slurm.conf" slurmctld "$@" || die "slurmctld did not start: see $DIR/log/slurmctld.log"
}

stop_controller() {
  kill "$(<"$DIR/run/slurmctld.pid")" 2>/dev/null || true
  wait_until 10 controller_is_gone || die "slurmctld does not stop"
}

controller_is_gone() { ! is_alive "$DIR/run/slurmctld.pid"; }

# Own hostname, own /dev/shm, own IPC: otherwise Open MPI's shared-memory transport collides, and programs see one host.
start_node() {
  local node="$1"
  mkdir -p "$DIR/spool/$node" "$DIR/tmp/$node"
  # shellcheck disable=SC2016  # the inner shell expands
  SLURM_CONF="$DIR/slurm.conf" setsid unshare --uts --mount --ipc --propagation private \
    bash -c 'hostname "$1" && mount -t tmpfs -o mode=1777 tmpfs /dev/shm && exec slurmd -D -N "$1"' - "$node" \
    </dev/null >>"$DIR/log/$node.out" 2>&1 &
  echo $! >"$DIR/run/$node.pid"
}

# Every process that lives in a node's UTS namespace: slurmd, job steps, ranks.
processes_of() {
  local pid namespace
  pid="$(cat "$DIR/run/$1.pid" 2>/dev/null)" || return 0
  namespace="$(cat "$DIR/run/$1.namespace" 2>/dev/null || readlink "/proc/$pid/ns/uts" 2>/dev/null)" || return 0
  [[ "$namespace" != "$(readlink /proc/self/ns/uts)" ]] || return 0
  local entry
  for entry in /proc/[0-9]*; do
    if [[ "$(readlink "$entry/ns/uts" 2>/dev/null)" == "$namespace" ]]; then
      echo "${entry#/proc/}"
    fi
  done
}

note_namespace() { # so that a node's orphans are found when its slurmd is gone
  readlink "/proc/$(<"$DIR/run/$1.pid")/ns/uts" >"$DIR/run/$1.namespace"
}

kill_node() {
  local node="$1" pids
  while mapfile -t pids < <(processes_of "$node") && ((${#pids[@]} > 0)); do
    kill -KILL "${pids[@]}" 2>/dev/null || true
    sleep 0.1
  done
  rm -f "$DIR/run/$node.namespace"
  rm -rf "$DIR/tmp/$node" "$DIR/spool/$node"/{pmix.*,stepd.slurm.pmix.*,job*}
}

# Slurm's part of a node's processes stands still, or goes on; ranks do not notice.
signal_daemons() { # NODE SIGNAL
  local pid
  for pid in $(processes_of "$1"); do
    case "$(cat "/proc/$pid/comm" 2>/dev/null)" in
      slurmd | slurmstepd | srun | bash | slurm_script) kill "-$2" "$pid" 2>/dev/null || true ;;
    esac
  done
}

# ---- commands --------------------------------------------------------------------------------------------------------
nodes() { sed -n 's/^NodeName=n\[1-\([0-9]*\)\] .*Port.*/\1/p' "$DIR/slurm.conf" | xargs -I{} seq -f n%g {}; }

wait_until() { # SECONDS COMMAND...
  local left=$(($1 * 10))
  shift
  until "$@"; do
    ((left-- > 0)) || return 1
    sleep 0.1
  done
}

is_alive() { [[ -s "$1" ]] && kill -0 "$(<"$1")" 2>/dev/null; }

are_idle() { [[ "$(sinfo --noheader --Node --partition=gpu --format=%T 2>/dev/null | grep -c '^idle$')" == "$1" ]]; }

up() {
  is_alive "$DIR/run/slurmctld.pid" && die "$DIR is up already; 'down' first, or another --dir"
  [[ ! -e "$DIR" || -e "$DIR/slurm.conf" ]] || die "$DIR exists and is no test cluster's folder: choose another --dir"
  refuse_where_impossible
  [[ ! -e "$DIR" ]] || down
  trap 'down >/dev/null 2>&1' EXIT # nothing half-started stays behind
  write_configs
  start_munged
  start_controller -c
  local node
  for node in $(nodes); do
    start_node "$node"
  done
  export SLURM_CONF="$DIR/slurm.conf"
  wait_until 30 are_idle "$NODES" || die "the nodes did not become idle: $(sinfo --Node 2>&1 | tail -n 3)
$(tail -n 3 "$DIR"/log/*.log)"
  for node in $(nodes); do
    note_namespace "$node"
  done
  trap - EXIT
  say "$NODES nodes up ($(nodes | xargs)), $CPUS_PER_NODE cores and $GPUS_PER_NODE fake GPUs each; to use it:"
  echo "  export SLURM_CONF=$DIR/slurm.conf"
}

down() {
  if [[ ! -e "$DIR/slurm.conf" ]]; then
    say "$DIR is not up"
    return
  fi
  local node pid_file
  for node in $(nodes); do
    kill_node "$node"
  done
  for pid_file in "$DIR"/run/slurmctld.pid "$DIR"/run/munged.pid; do
    if is_alive "$pid_file"; then
      kill -KILL "$(<"$pid_file")" 2>/dev/null || true
    fi
  done
  rm -rf "$DIR"
  say "down; $DIR is removed"
}

status() {
  if ! is_alive "$DIR/run/slurmctld.pid"; then
    say "$DIR is not up"
    exit 1
  fi
  export SLURM_CONF="$DIR/slurm.conf"
  sinfo --Node --partition=gpu --format="%N %T %C"
  squeue
  echo "  export SLURM_CONF=$DIR/slurm.conf"
}

known_node() {
  [[ -e "$DIR/slurm.conf" ]] || die "$DIR is not up"
  nodes | grep -qx -- "${1:-}" || die "no node '${1:-}': there are $(nodes | xargs)"
}

main() {
  local arguments=()
  DIR=/tmp/xtasc-slurm NODES=2
  while (($#)); do
    case "$1" in
      --dir) DIR="${2:?--dir needs a folder}" && shift ;;
      --nodes) NODES="${2:?--nodes needs a number}" && shift ;;
      -h | --help) usage && exit 0 ;;
      *) arguments+=("$1") ;;
    esac
    shift
  done
  DIR="$(realpath -m "$DIR")"
  [[ "$NODES" =~ ^[2-4]$ ]] || die "--nodes is 2, 3 or 4, found '$NODES'"
  case "${arguments[*]:-}" in
    up | down | status) "${arguments[0]}" ;;
    "kill "*) known_node "${arguments[1]}" && kill_node "${arguments[1]}" ;;
    "cut "*) known_node "${arguments[1]}" && signal_daemons "${arguments[1]}" STOP ;;
    "heal "*) known_node "${arguments[1]}" && signal_daemons "${arguments[1]}" CONT ;;
    "boot "*)
      known_node "${arguments[1]}"
      start_node "${arguments[1]}"
      sleep 0.5
      note_namespace "${arguments[1]}"
      ;;
    "controller stop") stop_controller ;;
    "controller start") start_controller ;;
    *) usage >&2 && exit 2 ;;
  esac
}

main "$@"
