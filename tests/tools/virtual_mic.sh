#!/bin/bash
# Runs a command in a private sound world: a PulseAudio of its own in a temporary folder, with two virtual stereo
# microphones and nothing else. What is played to the sink "earsink" is heard by the microphone "earmic", what is
# played to "desksink" by "deskmic". Nobody's sound server, session or settings are touched; root is not needed.
#
#   tests/tools/virtual_mic.sh COMMAND...
#
# PortAudio sees the inputs "earmic" and "deskmic" (and "default", which is earmic). Faults are injected with pactl,
# see tests/end_to_end/test_live_capture.py. VIRTUAL_MIC_PID is the daemon; VIRTUAL_MIC_START starts it once more.
# Needs: libportaudio2 pulseaudio pulseaudio-utils libasound2-plugins.
set -eu
folder=$(mktemp -d)
chmod 700 "$folder"
rate=${RATE:-48000}
socket=$folder/native

export HOME=$folder XDG_RUNTIME_DIR=$folder PULSE_RUNTIME_PATH=$folder PULSE_STATE_PATH=$folder
export PULSE_SERVER=unix:$socket PULSE_COOKIE=$folder/cookie
export ALSA_CONFIG_PATH=/usr/share/alsa/alsa.conf:$folder/asound.conf

map="channels=2 channel_map=front-left,front-right"
cat > "$folder/default.pa" <<PA
load-module module-native-protocol-unix auth-anonymous=1 socket=$socket
load-module module-null-sink sink_name=earsink rate=$rate $map format=s16le
load-module module-null-sink sink_name=desksink rate=$rate $map format=s16le
load-module module-remap-source source_name=earmic master=earsink.monitor $map master_channel_map=front-left,front-right remix=no
load-module module-remap-source source_name=deskmic master=desksink.monitor $map master_channel_map=front-left,front-right remix=no
set-default-source earmic
set-default-sink earsink
PA

pcm() { printf 'pcm.%s { type pulse device "%s" server "unix:%s" hint { show on description "%s" } }\n' "$1" "$2" "$socket" "$2"; }
{ pcm '!default' earmic; pcm earmic earmic; pcm deskmic deskmic; } > "$folder/asound.conf"

# A null sink keeps its clock at 2 s unless somebody plays to it with a short latency.
cat > "$folder/start" <<START
#!/bin/bash
pulseaudio -n -F "$folder/default.pa" --daemonize=no --use-pid-file=no --exit-idle-time=-1 --log-target=file:"$folder/log" &
pulse=\$!
echo \$pulse > "$folder/pid"
trap 'exit' TERM
trap 'kill \$(jobs -p) 2> /dev/null' EXIT
for _ in \$(seq 200); do pactl info > /dev/null 2>&1 && break; kill -0 \$pulse; sleep 0.05; done
for sink in earsink desksink; do
    pacat --playback --raw -d \$sink --rate=$rate --format=s16le --channels=2 --latency-msec=10 /dev/zero 2> /dev/null &
done
timeout 20 sh -c 'parec -d earmic --raw --latency-msec=10 --format=s16le --channels=2 2> /dev/null | head -c 19200 > /dev/null'
touch "$folder/ready"
wait \$pulse || true
START
chmod +x "$folder/start"

"$folder/start" &
starter=$!
trap 'kill $starter 2> /dev/null || true; wait 2> /dev/null || true; rm -rf "$folder"' EXIT
for _ in $(seq 600); do test -e "$folder/ready" && break; kill -0 $starter; sleep 0.05; done
export VIRTUAL_MIC_START=$folder/start
VIRTUAL_MIC_PID=$(cat "$folder/pid")
export VIRTUAL_MIC_PID
"$@"
