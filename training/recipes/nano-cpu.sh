#!/usr/bin/env bash
# The nano model from nothing on a two-core CPU. Every stage resumes: run the script again after a stop.
# Minutes on 2 cores with AVX-512 bf16 (EPYC Zen 4): stems 10, encoders 100, bank 7, sft 75, export 1.
# One thread for each training: encoders and the first part of sft ran side by side, each on a core of its own
# (two threads beside anything else wait for each other; the stages after `bank` may use both cores).
# What was shipped differed in details: docs/lab-notebook.md.
#
# Usage: nano-cpu.sh DATA_FOLDER RUN_FOLDER      (DATA_FOLDER holds events/ hrtf/ brir/ ambient/)
set -euo pipefail
data=$1 run=$2
earshot synth stems "$run/data/train" --data "$data" --cache "$run/cache/heads" --split train --shards 100
earshot synth stems "$run/data/validation" --data "$data" --cache "$run/cache/heads" --split validation --shards 4
earshot train encoders --data "$run/data" --run "$run/nano" --minutes 100 --threads 1
[ -f "$run/nano/bank/scenes.jsonl" ] || earshot train bank --data "$run/data/train" --run "$run/nano"
# Reading first, from sounds as good ears would hear them; then more and more of what these ears hear.
earshot train sft --bank "$run/nano/bank" --run "$run/nano" --minutes 25 --threads 1 --resume \
  --fresh --learning-rate 1.5e-3 --no-think-share 0.1 --replay-share 0 --ideal-share 0.8
earshot train sft --bank "$run/nano/bank" --run "$run/nano" --minutes 75 --threads 2 --resume \
  --fresh --learning-rate 1.3e-3 --no-think-share 0.1 --replay-share 0.05 --ideal-share 0.4
earshot export "$run/nano" --target pi4 --llm-quant Q8_0 --out "$run/nano/bundle"
earshot bench hearing --data "$run/data/validation" "$run/nano/bundle"
earshot bench questions "$run/nano/bundle" --data "$run/data/validation"
