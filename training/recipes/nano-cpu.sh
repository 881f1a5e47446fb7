#!/usr/bin/env bash
# The nano model from nothing on a two-core CPU. Every stage resumes: run the script again after a stop.
# Expected minutes on 2 cores with AVX-512 bf16 (EPYC Zen 4): stems 5, encoders 90, bank 5, language 40, alignment 5, sft 30, export 1.
#
# Usage: nano-cpu.sh DATA_FOLDER RUN_FOLDER      (DATA_FOLDER holds events/ hrtf/ brir/ ambient/)
set -euo pipefail
data=$1 run=$2
earshot synth stems "$run/data/train" --data "$data" --cache "$run/cache/heads" --split train --shards 44
earshot synth stems "$run/data/validation" --data "$data" --cache "$run/cache/heads" --split validation --shards 4
earshot train encoders --data "$run/data" --run "$run/nano" --minutes 90
earshot train bank --data "$run/data/train" --run "$run/nano"
earshot train language --run "$run/nano" --minutes 40 --threads 2 --resume
earshot train alignment --bank "$run/nano/bank" --run "$run/nano" --minutes 5 --threads 2 --resume
earshot train sft --bank "$run/nano/bank" --run "$run/nano" --minutes 30 --threads 2 --resume
earshot export "$run/nano" --llm-quant Q8_0 --out "$run/nano/bundle"
earshot bench hearing "$run/nano/bundle" --data "$run/data/validation"
earshot bench questions "$run/nano/bundle" --data "$run/data/validation"
