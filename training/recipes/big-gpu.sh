#!/usr/bin/env bash
# A pretrained language model (LoRA) behind trained encoders, on the devices of ACCELERATE_CONFIG.
# Every stage resumes: run the script again after a stop. Not run in full by the project, which had no GPU for it:
# what has been run is the same command on two CPU processes with a tiny random Qwen2 (tests/training/stages).
#
# Usage: big-gpu.sh RUN_FOLDER [LLM]      (RUN_FOLDER has encoders/, names/ and bank/, as nano-cpu.sh makes them in RUN_FOLDER/nano,
#   but no sft/ and grpo/ of that model: link the three into a new folder)
#   ACCELERATE_CONFIG  accelerate-ddp.yaml (default), accelerate-fsdp.yaml or accelerate-cpu.yaml beside this script
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
run=$1 llm=${2:-Qwen/Qwen2.5-0.5B-Instruct}
config=${ACCELERATE_CONFIG:-$here/accelerate-ddp.yaml}
case $config in *accelerate-cpu.yaml) export ACCELERATE_USE_CPU=true ;; esac
accelerate launch --config_file "$config" \
  -m earshot.training.stages.command pretrained --llm "$llm" --bank "$run/bank" --run "$run" --steps 10000 --resume
earshot export "$run" --target x86 --llm-quant Q4_K_M --name big --out "$run/bundle"
