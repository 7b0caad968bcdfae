#!/bin/sh
# One process a card of this machine, or one on the processor: NUDGE_MODEL=/path/to/model sh launch/local.sh
set -eu
cd "$(dirname "$0")/.."
: "${NUDGE_MODEL:?names the folder of the model}"
cards=$(nvidia-smi -L 2>/dev/null | wc -l)
exec torchrun --standalone --nproc-per-node "$((cards > 1 ? cards : 1))" train.py --model "$NUDGE_MODEL" "$@"
