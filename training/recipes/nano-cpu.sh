#!/usr/bin/env bash
# The nano model from nothing on a two-core CPU. Every stage resumes: run the script again after a stop.
# Minutes on 2 cores with AVX-512 bf16 (EPYC Zen 4): stems 5, encoders 65, bank 5, sft 40, export 1.
# What was shipped first differed in details: docs/lab-notebook.md, 'What these figures do not show'.
# With more time, train the language model on text first and align the projector, in place of `--fresh`:
#   earshot train language --run "$run/nano" --minutes 240 --threads 2 --resume
#   earshot train alignment --bank "$run/nano/bank" --run "$run/nano" --minutes 20 --threads 2 --resume
#
# Usage: nano-cpu.sh DATA_FOLDER RUN_FOLDER      (DATA_FOLDER holds events/ hrtf/ brir/ ambient/)
set -euo pipefail
data=$1 run=$2
earshot synth stems "$run/data/train" --data "$data" --cache "$run/cache/heads" --split train --shards 44
earshot synth stems "$run/data/validation" --data "$data" --cache "$run/cache/heads" --split validation --shards 4
earshot train encoders --data "$run/data" --run "$run/nano" --minutes 65
earshot train bank --data "$run/data/train" --run "$run/nano" --mixtures 2
earshot train sft --bank "$run/nano/bank" --run "$run/nano" --minutes 40 --threads 2 --resume \
  --fresh --learning-rate 2e-3 --no-think-share 0.1 --evidence-weight 0.5
earshot export "$run/nano" --target pi4 --llm-quant Q8_0 --out "$run/nano/bundle"
earshot bench hearing "$run/nano/bundle" --data "$run/data/validation"
earshot bench questions "$run/nano/bundle" --data "$run/data/validation"
