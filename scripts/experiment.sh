# What scripts/small-experiment and scripts/rank-study share; sourced by them.
#
# Settings by environment: DATA, TARGET and LIMITS (of latency there), and steps of BATCH images:
# TEACHER_STEPS, BKD_STEPS (each job, FP32), STEPS (FP32), QAT_STEPS. SEARCH: options of `search`.
# MEASURE: seconds in which found models are timed, 0 for none. SEED: of trainings. DEVICE: cpu or
# cuda. JOBS: jobs of a distillation at a time; LANES: spaces at a time.
set -euo pipefail
DATA="${DATA:-fashion-mnist}"
TARGET="${TARGET:-cpu}"
LIMITS="${LIMITS:-0.25,0.3,0.35,0.45ms}"
BATCH="${BATCH:-64}"
TEACHER_STEPS="${TEACHER_STEPS:-1000}"
BKD_STEPS="${BKD_STEPS:-150}"
STEPS="${STEPS:-1200}"
QAT_STEPS="${QAT_STEPS:-300}"
SEED="${SEED:-0}"
SEARCH="${SEARCH:---population 8 --rounds 3 --images 1000}"
MEASURE="${MEASURE:-20}"
DEVICE="${DEVICE:-cpu}"
JOBS="${JOBS:-2}"
LANES="${LANES:-2}"

# once NAME COMMAND...: unless it has succeeded in $out before
once() {
  local mark="$out/$1.done" start=$SECONDS
  shift
  [ -e "$mark" ] && return
  echo "$(date +%T) $*" | tee -a "$out/commands.log"
  "$@"
  echo "$((SECONDS - start))" >"$mark"
}

# train PAGE RUN STEPS OPTION...: evaluated twice; on one thread, since spaces train side by side
train() {
  spacedsl train "$1" --data "$DATA" --out "$2" --steps "$3" --batch "$BATCH" --threads 1 \
    --seed "$SEED" --device "$DEVICE" --evaluate-every "$((($3 + 1) / 2))" "${@:4}" --resume
}

# The teacher, a quality table of the hyperspace and the target's latencies
tables() {
  once teacher train fashion-teacher "$out/teacher" "$TEACHER_STEPS"
  once bkd spacedsl distill --hyper fashion --data "$DATA" --teacher "checkpoint:$out/teacher" \
    --target "$TARGET" --steps "$BKD_STEPS" --samples 16 --jobs "$JOBS" --threads 1 \
    --device "$DEVICE" --out "$out/bkd" --resume
  if [ "$TARGET" = cpu ]; then once profile spacedsl target profile cpu --space fashion --budget 3m; fi
}

# evolve NAME OPTION...: a space of the hyperspace
evolve() {
  once "$1" spacedsl evolve --hyper fashion --target "$TARGET" --quality "$out/bkd" \
    --limits "$LIMITS" --out "$out/$1.space" "${@:2}"
}

# lanes COMMAND ITEM...: `COMMAND ITEM` of every item, LANES at a time; what they print is in
# lane1.log and so on
lanes() {
  local failed=0 lane pids=() command="$1"
  shift
  local items=("$@")
  for ((lane = 0; lane < LANES; lane++)); do
    (
      for ((i = lane; i < ${#items[@]}; i += LANES)); do "$command" "${items[i]}"; done
    ) >"$out/lane$((lane + 1)).log" 2>&1 &
    pids+=("$!")
  done
  for pid in "${pids[@]}"; do wait "$pid" || failed=1; done
  return "$failed"
}

# models NAME PAGE: its supernet, FP32 and INT8, and its best models under the limits
models() {
  local run="$out/super-$1"
  once "train-$1" train "$2" "$run" "$STEPS"
  once "qat-$1" train "$2" "$run" "$QAT_STEPS" --qat --target "$TARGET"
  # shellcheck disable=SC2086
  once "search-$1" spacedsl search "$run" --target "$TARGET" --limits "$LIMITS" $SEARCH \
    --measure "$MEASURE" --threads 1 --device "$DEVICE" --out "$out/models-$1" --resume
}
