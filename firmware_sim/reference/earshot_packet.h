/* Earshot packet format, version 1: reference encoder and decoder for firmware (C99, no allocation, no libc beyond
 * <stdint.h>, <stddef.h> and memcpy/memset). Byte layout: docs/packet-format.md. */
#ifndef EARSHOT_PACKET_H
#define EARSHOT_PACKET_H

#include <stddef.h>
#include <stdint.h>

#define EARSHOT_VERSION 1u
#define EARSHOT_HEADER_SIZE 64u
#define EARSHOT_MAX_HEADER 256u
#define EARSHOT_MAX_PAYLOAD 65536u
#define EARSHOT_HELLO_SIZE 48u
#define EARSHOT_STATUS_SIZE 32u
#define EARSHOT_UNKNOWN_BATTERY 255u
#define EARSHOT_UNKNOWN_TEMPERATURE (-32768)

enum earshot_kind { EARSHOT_AUDIO = 1, EARSHOT_HELLO = 2, EARSHOT_STATUS = 3 };

enum earshot_flag { EARSHOT_CLIPPED = 1, EARSHOT_CHARGING = 2, EARSHOT_POSE_VALID = 4, EARSHOT_DISCONTINUITY = 8 };

enum earshot_result {
    EARSHOT_PACKET = 0,      /* header and payload are filled in */
    EARSHOT_INCOMPLETE = 1,  /* more bytes are needed */
    EARSHOT_NOISE = 2,       /* no magic here */
    EARSHOT_BAD_HEADER = 3,
    EARSHOT_BAD_PAYLOAD = 4,
    EARSHOT_UNSUPPORTED = 5  /* intact, but of another version or kind */
};

typedef struct {
    uint8_t kind;
    uint32_t sequence;
    uint32_t stream_id;
    uint64_t device_time_us;
    uint64_t sample_index;
    uint32_t sample_rate_hz;
    uint16_t frame_count;
    uint8_t channels;
    int16_t yaw_cdeg;
    int16_t pitch_cdeg;
    int16_t roll_cdeg;
    uint8_t battery_percent;
    uint8_t flags;
    int16_t temperature_cdeg;
} earshot_header;

typedef struct {
    char name[24]; /* UTF-8, padded with zeros */
    uint64_t serial;
    uint8_t firmware_major;
    uint8_t firmware_minor;
    uint16_t firmware_patch;
    uint16_t frames_per_packet;
    uint16_t pose_rate_hz;
    uint32_t capabilities;
} earshot_hello;

typedef struct {
    uint32_t uptime_s;
    uint32_t packets_sent;
    uint32_t frames_dropped;
    uint32_t samples_clipped;
    int8_t rssi_dbm;
    uint8_t cpu_percent;
    uint16_t faults;
    uint16_t battery_mv;
    int32_t clock_drift_ppb;
} earshot_status;

/* CRC-32 of IEEE 802.3 (as in zlib). */
uint32_t earshot_crc32(const uint8_t *data, size_t size);

/* Write a packet. Returns its size, or 0 when the capacity is too small or payload and header do not fit. */
size_t earshot_encode(const earshot_header *header, const uint8_t *payload, size_t payload_size, uint8_t *out,
                      size_t capacity);

/* Look at the packet that starts at data[0]. "advance" receives the bytes to go on by (0 when INCOMPLETE). */
enum earshot_result earshot_decode(const uint8_t *data, size_t size, earshot_header *header, const uint8_t **payload,
                                   size_t *payload_size, size_t *advance);

void earshot_put_hello(const earshot_hello *hello, uint8_t out[EARSHOT_HELLO_SIZE]);
void earshot_put_status(const earshot_status *status, uint8_t out[EARSHOT_STATUS_SIZE]);

#endif
