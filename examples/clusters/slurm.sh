#!/bin/bash
# One run as a job of Slurm, which goes on in a new job when its time is up or its node fails:
#
#     sbatch examples/clusters/slurm.sh TEXT RUN [options of pantoum train]
#
#SBATCH --job-name=pantoum
#SBATCH --ntasks=2
#SBATCH --cpus-per-task=1
#SBATCH --time=02:00:00
#SBATCH --signal=TERM@60
#SBATCH --requeue
#SBATCH --open-mode=append

text=$1 run=$2
shift 2
if [ -e "$run/config.json" ]; then set -- --run "$run" --resume; else set -- "$text" --run "$run" "$@"; fi
told=$(srun --mpi=pmix pantoum train "$@" --json)
code=$?
echo "$told"
case $code in  # 143: SIGTERM came, because the time was nearly up
143) scontrol requeue "$SLURM_JOB_ID" ;;
*) exit $code ;;
esac
