# What scripts/small-experiment and scripts/rank-study share; sourced by them.
#
# Settings by environment: DATA, LIMITS (of latency on this machine), and steps of 64 images:
# TEACHER_STEPS, BKD_STEPS (each job, FP32), STEPS (FP32), QAT_STEPS. SEARCH: options of `search`.
# SEED: of trainings.
set -euo pipefail
DATA="${DATA:-fashion-mnist}"
LIMITS="${LIMITS:-0.25,0.3,0.35,0.45ms}"
TEACHER_STEPS="${TEACHER_STEPS:-1000}"
BKD_STEPS="${BKD_STEPS:-150}"
STEPS="${STEPS:-1200}"
QAT_STEPS="${QAT_STEPS:-300}"
SEED="${SEED:-0}"
SEARCH="${SEARCH:---population 8 --rounds 3 --images 1000}"

# once NAME COMMAND...: unless it has succeeded in $out before
once() {
  local mark="$out/$1.done" start=$SECONDS
  shift
  [ -e "$mark" ] && return
  echo "$(date +%T) $*" | tee -a "$out/commands.log"
  "$@"
  echo "$((SECONDS - start))" >"$mark"
}

# train PAGE RUN STEPS OPTION...: evaluated twice; on one thread, since two spaces train side by side
train() {
  spacedsl train "$1" --data "$DATA" --out "$2" --steps "$3" --batch 64 --threads 1 --seed "$SEED" \
    --evaluate-every "$((($3 + 1) / 2))" "${@:4}" --resume
}

# The teacher, a quality table of the hyperspace and this CPU's latencies
tables() {
  once teacher train fashion-teacher "$out/teacher" "$TEACHER_STEPS"
  once bkd spacedsl distill --hyper fashion --data "$DATA" --teacher "checkpoint:$out/teacher" \
    --target cpu --steps "$BKD_STEPS" --samples 16 --jobs 2 --threads 1 --out "$out/bkd" --resume
  once profile spacedsl target profile cpu --space fashion --budget 3m
}

# evolve NAME OPTION...: a space of the hyperspace
evolve() {
  once "$1" spacedsl evolve --hyper fashion --target cpu --quality "$out/bkd" --limits "$LIMITS" \
    --definition qt --out "$out/$1.space" "${@:2}"
}

# lanes FUNCTION FUNCTION: two at a time; what they print is in FUNCTION.log
lanes() {
  local failed=0
  "$1" >"$out/$1.log" 2>&1 &
  local first=$!
  "$2" >"$out/$2.log" 2>&1 &
  wait "$!" || failed=1
  wait "$first" || failed=1
  return "$failed"
}

# models NAME PAGE: its supernet, FP32 and INT8, and its best models under the limits
models() {
  local run="$out/super-$1"
  once "train-$1" train "$2" "$run" "$STEPS"
  once "qat-$1" train "$2" "$run" "$QAT_STEPS" --qat --target cpu
  # shellcheck disable=SC2086
  once "search-$1" spacedsl search "$run" --target cpu --limits "$LIMITS" $SEARCH \
    --measure 20 --threads 1 --out "$out/models-$1" --resume
}
