#!/usr/bin/env bash
# examples/clusters/slurm.sh under a real Slurm of one machine, which this script starts and ends:
#
#     benchmarks/judges/slurm.sh BIN          BIN: the environment's bin with pantoum, mpi4py and an MPI
#
# The job's time is a minute, and Slurm sends SIGTERM before it is up. The run must be requeued, go on, and end
# with the model file of a run that nothing stopped. Needs root, and Debian's slurm-wlm with munge. The limit
# of a job is a minute of the clock, and a busy machine requeues it again and again: run it by hand, alone.
set -euo pipefail
cd "$(dirname "$0")/../.."
PATH="$(realpath "${1:-.venv/bin}"):$PATH:/usr/sbin"
for tool in munged slurmctld slurmd sbatch srun mpirun; do
  command -v "$tool" >/dev/null || { echo "SKIP SKIP SKIP  a job of Slurm: $tool is missing"; exit 0; }
done
[ "$(id -u)" = 0 ] || { echo "SKIP SKIP SKIP  a job of Slurm: only root can start its services"; exit 0; }

dir="$(mktemp -d)"
pids=()
end() {
  [ ! -f "$dir/slurm.conf" ] || scancel --user=root 2>/dev/null || true
  for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
  for _ in $(seq 20); do kill -0 "${pids[@]}" 2>/dev/null || break; sleep 0.5; done  # while one is left
  for pid in "${pids[@]}"; do kill -KILL "$pid" 2>/dev/null || true; done  # a controller may never end
  wait
  rm -rf "$dir"
}
trap end EXIT
free() { python3 -c 'import socket; s = socket.socket(); s.bind(("", 0)); print(s.getsockname()[1])'; }
until_true() {  # seconds, command...
  local last=$((SECONDS + $1)); shift
  until "$@" >/dev/null 2>&1; do
    [ "$SECONDS" -lt "$last" ] || { echo "FAILED  waited too long for: $*"; tail -n 20 "$dir"/*.log; exit 1; }
    sleep 0.5
  done; }

chmod 755 "$dir"
mkdir -m 755 "$dir/munge" "$dir/state" "$dir/spool"
(umask 077; head -c 128 /dev/urandom >"$dir/munge.key")
export SLURM_CONF="$dir/slurm.conf"
host="$(hostname -s)"
cat >"$SLURM_CONF" <<END
ClusterName=one
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$(free)
SlurmdPort=$(free)
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket=$dir/munge/socket,cred_expire=5
StateSaveLocation=$dir/state
SlurmdSpoolDir=$dir/spool
SlurmctldPidFile=$dir/slurmctld.pid
SlurmdPidFile=$dir/slurmd.pid
SlurmctldLogFile=$dir/slurmctld.log
SlurmdLogFile=$dir/slurmd.log
ProctrackType=proctrack/pgid
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
JobAcctGatherType=jobacct_gather/none
ReturnToService=2
NodeName=$host NodeAddr=127.0.0.1 CPUs=2 State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
END
printf 'CgroupPlugin=disabled\nIgnoreSystemd=yes\n' >"$dir/cgroup.conf"

munged --foreground --force --num-threads=1 --key-file="$dir/munge.key" --socket="$dir/munge/socket" \
  --pid-file="$dir/munge/pid" --log-file="$dir/munge.log" --seed-file="$dir/munge/seed" &
pids+=($!)
until_true 20 test -S "$dir/munge/socket"
slurmctld -D -f "$SLURM_CONF" >"$dir/slurmctld.out.log" 2>&1 & pids+=($!)
slurmd -D -f "$SLURM_CONF" -N "$host" >"$dir/slurmd.out.log" 2>&1 & pids+=($!)
idle() { [ "$(sinfo --noheader --format=%T)" = idle ]; }
until_true 60 idle

for n in $(seq 4000); do echo "the cat number $n sat on mat $((n * 7 % 61)) and saw dog $((n % 13))"; done >"$dir/text"
settings=(--seed 1 --shards 2 --hidden-size 160 --num-layers 2 --batch-size 16 --seq-len 64)
alone() { PANTOUM_LAUNCHER=none pantoum train "$dir/text" --run "$dir/$1" "${settings[@]}" --quiet --json "${@:2}"; }
alone few --steps 99999 --stop-after 60 >"$dir/few.json"  # how many steps are more than a minute here
settings+=(--steps "$(python3 -c 'import json, sys; print(int(60 * 75 / json.load(open(sys.argv[1]))["seconds"]))' "$dir/few.json")")
job="$(sbatch --parsable --time=1 --signal=TERM@30 --output="$dir/job.log" \
  examples/clusters/slurm.sh "$dir/text" "$dir/run" "${settings[@]}")"
ended() { case "$(squeue --noheader --states=all --jobs="$job" --format=%T)" in COMPLETED|FAILED|TIMEOUT|CANCELLED|'') return 0 ;; *) return 1 ;; esac; }
until_true 480 ended
times="$(grep -c '"stopped": "SIGTERM"' "$dir/job.log" || true)"
if [ "$times" = 0 ] || ! grep -q '"finished": true' "$dir/job.log"; then
  echo "FAILED  stopped $times times, and did not end well"; tail -n 30 "$dir"/*.log; exit 1
fi
alone whole >"$dir/whole.json"
cmp "$dir/run/model.safetensors" "$dir/whole/model.safetensors"
echo "stopped $times times by Slurm and requeued; the model file is that of a run that nothing stopped"
