#!/usr/bin/env bash
# The nano model from nothing on a two-core CPU. Every stage resumes: run the script again after a stop.
# Expected minutes on 2 cores with AVX-512 bf16 (EPYC Zen 4): stems 5, encoders 85, bank 6, language 40, alignment 10, sft 35, export 2.
#
# Usage: nano-cpu.sh DATA_FOLDER RUN_FOLDER      (DATA_FOLDER holds events/ hrtf/ brir/ ambient/)
set -euo pipefail
data=$1 run=$2
earshot synth stems "$run/data/train" --data "$data" --cache "$run/cache/heads" --split train --shards 44
earshot synth stems "$run/data/validation" --data "$data" --cache "$run/cache/heads" --split validation --shards 4
earshot train encoders --data "$run/data" --out "$run/nano/encoders" --minutes 85
earshot train bank --data "$run/data/train" --encoders "$run/nano/encoders" --out "$run/nano/bank"
earshot train language --out "$run/nano/language" --minutes 40
earshot train alignment --bank "$run/nano/bank" --language "$run/nano/language" --out "$run/nano/alignment" --minutes 10
earshot train sft --bank "$run/nano/bank" --alignment "$run/nano/alignment" --out "$run/nano/sft" --minutes 35
earshot export "$run/nano" --llm-quant Q8_0 --out "$run/nano/bundle"
earshot bench hearing "$run/nano/bundle" --data "$run/data/validation"
earshot bench questions "$run/nano/bundle" --data "$run/data/validation"
