/* Reference implementation of the Earshot packet format. See earshot_packet.h and docs/packet-format.md.
 * Bytes are written and read one at a time, so the code is right on any byte order and alignment. */
#include "earshot_packet.h"

#include <string.h>

enum { AT_SEQUENCE = 8, AT_RATE = 32, AT_POSE = 40, AT_PAYLOAD_SIZE = 52, AT_HEADER_CRC = 60, FORMAT_S16LE = 1 };

static const uint8_t MAGIC[4] = {'E', 'A', 'R', 'S'};

static uint8_t *put(uint8_t *out, uint64_t value, size_t bytes) {
    for (size_t i = 0; i < bytes; i++) {
        out[i] = (uint8_t)(value >> (8 * i));
    }
    return out + bytes;
}

static uint64_t get(const uint8_t *in, size_t bytes) {
    uint64_t value = 0;
    for (size_t i = 0; i < bytes; i++) {
        value |= (uint64_t)in[i] << (8 * i);
    }
    return value;
}

static int16_t get_i16(const uint8_t *in) {
    int32_t value = (int32_t)get(in, 2);
    return (int16_t)(value > 32767 ? value - 65536 : value);
}

/* Half-byte table: 64 bytes of flash instead of 1024. */
uint32_t earshot_crc32(const uint8_t *data, size_t size) {
    static const uint32_t table[16] = {0x00000000u, 0x1DB71064u, 0x3B6E20C8u, 0x26D930ACu, 0x76DC4190u, 0x6B6B51F4u,
                                       0x4DB26158u, 0x5005713Cu, 0xEDB88320u, 0xF00F9344u, 0xD6D6A3E8u, 0xCB61B38Cu,
                                       0x9B64C2B0u, 0x86D3D2D4u, 0xA00AE278u, 0xBDBDF21Cu};
    uint32_t crc = 0xFFFFFFFFu;
    for (size_t i = 0; i < size; i++) {
        crc ^= data[i];
        crc = (crc >> 4) ^ table[crc & 15u];
        crc = (crc >> 4) ^ table[crc & 15u];
    }
    return ~crc;
}

static int is_known(uint8_t kind) {
    return kind == EARSHOT_AUDIO || kind == EARSHOT_HELLO || kind == EARSHOT_STATUS;
}

static int is_sane(const earshot_header *h, size_t payload_size) {
    switch (h->kind) {
    case EARSHOT_AUDIO:
        return h->frame_count > 0 && h->channels >= 1 && h->channels <= 8 && h->sample_rate_hz > 0 &&
               payload_size == (size_t)2 * h->frame_count * h->channels && payload_size <= EARSHOT_MAX_PAYLOAD;
    case EARSHOT_HELLO:
        return payload_size == EARSHOT_HELLO_SIZE;
    case EARSHOT_STATUS:
        return payload_size == EARSHOT_STATUS_SIZE;
    default:
        return 0;
    }
}

size_t earshot_encode(const earshot_header *h, const uint8_t *payload, size_t payload_size, uint8_t *out,
                      size_t capacity) {
    if (!is_sane(h, payload_size) || capacity < EARSHOT_HEADER_SIZE + payload_size) {
        return 0;
    }
    memcpy(out, MAGIC, 4);
    uint8_t *p = put(out + 4, EARSHOT_VERSION, 1);
    p = put(p, h->kind, 1);
    p = put(p, EARSHOT_HEADER_SIZE, 2);
    p = put(p, h->sequence, 4);
    p = put(p, h->stream_id, 4);
    p = put(p, h->device_time_us, 8);
    p = put(p, h->sample_index, 8);
    p = put(p, h->sample_rate_hz, 4);
    p = put(p, h->frame_count, 2);
    p = put(p, h->channels, 1);
    p = put(p, FORMAT_S16LE, 1);
    p = put(p, (uint16_t)h->yaw_cdeg, 2);
    p = put(p, (uint16_t)h->pitch_cdeg, 2);
    p = put(p, (uint16_t)h->roll_cdeg, 2);
    p = put(p, h->battery_percent, 1);
    p = put(p, h->flags, 1);
    p = put(p, (uint16_t)h->temperature_cdeg, 2);
    p = put(p, 0, 2);
    p = put(p, payload_size, 4);
    p = put(p, earshot_crc32(payload, payload_size), 4);
    p = put(p, earshot_crc32(out, AT_HEADER_CRC), 4);
    memcpy(p, payload, payload_size);
    return EARSHOT_HEADER_SIZE + payload_size;
}

static void read_header(const uint8_t *in, earshot_header *h) {
    const uint8_t *p = in + AT_SEQUENCE;
    h->kind = in[5];
    h->sequence = (uint32_t)get(p, 4);
    h->stream_id = (uint32_t)get(p + 4, 4);
    h->device_time_us = get(p + 8, 8);
    h->sample_index = get(p + 16, 8);
    p = in + AT_RATE;
    h->sample_rate_hz = (uint32_t)get(p, 4);
    h->frame_count = (uint16_t)get(p + 4, 2);
    h->channels = p[6];
    p = in + AT_POSE;
    h->yaw_cdeg = get_i16(p);
    h->pitch_cdeg = get_i16(p + 2);
    h->roll_cdeg = get_i16(p + 4);
    h->battery_percent = p[6];
    h->flags = p[7];
    h->temperature_cdeg = get_i16(p + 8);
}

/* Bytes before the next possible magic, at least 1. */
static size_t to_next(const uint8_t *data, size_t size) {
    size_t i = 1;
    while (i < size && data[i] != MAGIC[0]) {
        i++;
    }
    return i;
}

enum earshot_result earshot_decode(const uint8_t *data, size_t size, earshot_header *header, const uint8_t **payload,
                                   size_t *payload_size, size_t *advance) {
    *advance = 0;
    if (size == 0) {
        return EARSHOT_INCOMPLETE;
    }
    if (memcmp(data, MAGIC, size < 4 ? size : 4) != 0) {
        *advance = to_next(data, size);
        return EARSHOT_NOISE;
    }
    if (size < AT_SEQUENCE) {
        return EARSHOT_INCOMPLETE;
    }
    size_t header_size = (size_t)get(data + 6, 2);
    if (header_size < EARSHOT_HEADER_SIZE || header_size > EARSHOT_MAX_HEADER ||
        (data[4] == EARSHOT_VERSION && header_size != EARSHOT_HEADER_SIZE)) {
        *advance = 1;
        return EARSHOT_BAD_HEADER;
    }
    if (size < header_size) {
        return EARSHOT_INCOMPLETE;
    }
    size_t length = (size_t)get(data + AT_PAYLOAD_SIZE, 4);
    if (get(data + header_size - 4, 4) != earshot_crc32(data, header_size - 4) || length > EARSHOT_MAX_PAYLOAD) {
        *advance = 1;
        return EARSHOT_BAD_HEADER;
    }
    if (size < header_size + length) {
        return EARSHOT_INCOMPLETE;
    }
    *advance = 1;
    if (get(data + AT_PAYLOAD_SIZE + 4, 4) != earshot_crc32(data + header_size, length)) {
        return EARSHOT_BAD_PAYLOAD;
    }
    if (data[4] != EARSHOT_VERSION || !is_known(data[5])) {
        *advance = header_size + length;
        return EARSHOT_UNSUPPORTED;
    }
    read_header(data, header);
    if (data[AT_RATE + 7] != FORMAT_S16LE || !is_sane(header, length)) {
        return EARSHOT_BAD_HEADER;
    }
    *payload = data + header_size;
    *payload_size = length;
    *advance = header_size + length;
    return EARSHOT_PACKET;
}

void earshot_put_hello(const earshot_hello *hello, uint8_t out[EARSHOT_HELLO_SIZE]) {
    memcpy(out, hello->name, 24);
    uint8_t *p = put(out + 24, hello->serial, 8);
    p = put(p, hello->firmware_major, 1);
    p = put(p, hello->firmware_minor, 1);
    p = put(p, hello->firmware_patch, 2);
    p = put(p, hello->frames_per_packet, 2);
    p = put(p, hello->pose_rate_hz, 2);
    p = put(p, hello->capabilities, 4);
    put(p, 0, 4);
}

void earshot_put_status(const earshot_status *status, uint8_t out[EARSHOT_STATUS_SIZE]) {
    uint8_t *p = put(out, status->uptime_s, 4);
    p = put(p, status->packets_sent, 4);
    p = put(p, status->frames_dropped, 4);
    p = put(p, status->samples_clipped, 4);
    p = put(p, (uint8_t)status->rssi_dbm, 1);
    p = put(p, status->cpu_percent, 1);
    p = put(p, status->faults, 2);
    p = put(p, status->battery_mv, 2);
    p = put(p, 0, 2);
    p = put(p, (uint32_t)status->clock_drift_ppb, 4);
    put(p, 0, 4);
}
