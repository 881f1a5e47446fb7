"""Random packets for the tests of the packet format."""

import random

from hypothesis import strategies as st

from earshot.runtime.audio.packets import (
    Header,
    Hello,
    Kind,
    Packet,
    PacketDecoder,
    Status,
    hello_packet,
    status_packet,
)


def unsigned(bits: int) -> st.SearchStrategy[int]:
    return st.integers(0, 2**bits - 1)


def signed(bits: int) -> st.SearchStrategy[int]:
    return st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)


headers = st.builds(
    Header,
    kind=st.just(int(Kind.AUDIO)),
    sequence=unsigned(32),
    stream_id=unsigned(32),
    device_time_us=unsigned(64),
    sample_index=unsigned(64),
    sample_rate_hz=st.integers(1, 2**32 - 1),
    frame_count=st.integers(1, 40),
    channels=st.integers(1, 8),
    yaw_cdeg=signed(16),
    pitch_cdeg=signed(16),
    roll_cdeg=signed(16),
    battery_percent=unsigned(8),
    flags=unsigned(8),
    temperature_cdeg=signed(16),
)


@st.composite
def audio_packets(draw: st.DrawFn) -> Packet:
    header = draw(headers)
    size = 2 * header.frame_count * header.channels
    return Packet(header, draw(st.binary(min_size=size, max_size=size)))


hellos = st.builds(
    Hello,
    name=st.text(st.characters(codec="ascii", exclude_characters="\0"), max_size=24),
    serial=unsigned(64),
    firmware=st.tuples(unsigned(8), unsigned(8), unsigned(16)),
    frames_per_packet=unsigned(16),
    pose_rate_hz=unsigned(16),
    capabilities=unsigned(32),
)
statuses = st.builds(
    Status,
    uptime_s=unsigned(32),
    packets_sent=unsigned(32),
    frames_dropped=unsigned(32),
    samples_clipped=unsigned(32),
    rssi_dbm=signed(8),
    cpu_percent=unsigned(8),
    faults=unsigned(16),
    battery_mv=unsigned(16),
    clock_drift_ppb=signed(32),
)
packets = st.one_of(
    audio_packets(), st.builds(hello_packet, headers, hellos), st.builds(status_packet, headers, statuses)
)


def decode(data: bytes) -> list[Packet]:
    decoder = PacketDecoder()
    return decoder.feed(data) + decoder.flush()


def random_packet(rng: random.Random, sequence: int = 0) -> Packet:
    """A packet with every field drawn over its whole range."""
    header = Header(
        int(Kind.AUDIO),
        sequence or rng.getrandbits(32),
        rng.getrandbits(32),
        rng.getrandbits(64),
        rng.getrandbits(64),
        rng.randint(1, 2**32 - 1),
        rng.randint(1, 320),
        rng.randint(1, 8),
        *(rng.randint(-32_768, 32_767) for _ in range(3)),
        rng.getrandbits(8),
        rng.getrandbits(8),
        rng.randint(-32_768, 32_767),
    )
    kind = rng.choice(list(Kind))
    if kind is Kind.HELLO:
        name = "".join(rng.choices("abcxyz é-", k=rng.randint(0, 24)))
        firmware = (rng.getrandbits(8), rng.getrandbits(8), rng.getrandbits(16))
        numbers = (rng.getrandbits(16), rng.getrandbits(16), rng.getrandbits(32))
        return hello_packet(header, Hello(name, rng.getrandbits(64), firmware, *numbers))
    if kind is Kind.STATUS:
        words = [rng.getrandbits(32) for _ in range(4)]
        small = (rng.randint(-128, 127), rng.getrandbits(8), rng.getrandbits(16), rng.getrandbits(16))
        return status_packet(header, Status(*words, *small, rng.randint(-(2**31), 2**31 - 1)))
    return Packet(header, rng.randbytes(2 * header.frame_count * header.channels))
