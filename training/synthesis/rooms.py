"""Rooms: binaural room impulse responses from image sources and a diffuse tail, and measured ones.

Early reflections come from pyroomacoustics' image-source model (Allen & Berkley 1979); each image is heard through the
head from its own direction. Late reverberation is Gaussian noise whose power follows the classical diffuse-field decay
(Kuttruff, "Room Acoustics"), with the interaural coherence of a diffuse field.
"""

from __future__ import annotations

import csv
import functools
import itertools
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from earshot.runtime.errors import InputError
from earshot.training.synthesis.heads import BAND_EDGES_HZ, BAND_TAPS, SAMPLE_RATE_HZ, SPEED_OF_SOUND_M_S, Head

FloatArray = NDArray[np.float32]
IMAGE_ORDER = 3
_COLUMNS = "file,room,az_deg,el_deg,distance_m,t60_est_s"
BAND_CENTRES_HZ = (350.0, 1400.0, 5600.0)
DIRECTIVITY_BY_BAND = (0.3, 0.7, 1.0)
"""How much of a source's directivity (that of the highest band) each band has: voices and loudspeakers beam at high frequencies."""
# Distance of the ears at which the coherence of a diffuse field, sinc(2 f d / c), fits heads (Lindau 2009 uses the same form).
COHERENCE_DISTANCE_M = 0.24


@dataclass(frozen=True)
class Shoebox:
    """A rectangular room.

    Attributes
    ----------
    size_m : (float, float, float)
        Length, width, height.
    t60_s : (float, float, float)
        Reverberation time in the bands centred at ``BAND_CENTRES_HZ``.
    listener_m : (float, float, float)
        Position of the head's centre.
    facing_deg : float
        Direction the head faces in the room's coordinates, counter-clockwise from +x.
    """

    size_m: tuple[float, float, float]
    t60_s: tuple[float, float, float]
    listener_m: tuple[float, float, float]
    facing_deg: float

    def absorption(self) -> NDArray[np.float64]:
        """Mean absorption coefficient per band from T60, after Eyring (1930)."""
        length, width, height = self.size_m
        surface = 2 * (length * width + length * height + width * height)
        volume = length * width * height
        mean = 1 - np.exp(-0.161 * volume / (surface * np.asarray(self.t60_s)))
        return np.asarray(np.clip(mean, 0.01, 0.99), np.float64)

    def position(self, direction: NDArray[np.floating], distance_m: float) -> NDArray[np.float64]:
        """Room coordinates of a point seen from the head in unit vector ``direction`` at ``distance_m``."""
        turned = rotate(np.asarray(direction, np.float64)[None], self.facing_deg)[0]
        return np.asarray(np.asarray(self.listener_m) + distance_m * turned, np.float64)

    def contains(self, point_m: NDArray[np.floating], margin_m: float = 0.15) -> bool:
        """Whether a point lies inside the room with a margin to every wall."""
        return bool(np.all(point_m > margin_m) and np.all(point_m < np.asarray(self.size_m) - margin_m))


def rotate(vectors: NDArray[np.float64], degrees: float) -> NDArray[np.float64]:
    """Rotate [N, 3] vectors counter-clockwise about the vertical axis."""
    c, s = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    return np.asarray(vectors @ np.array([[c, s, 0], [-s, c, 0], [0, 0, 1.0]]), np.float64)


def shoebox_brir(
    room: Shoebox,
    head: Head,
    direction: FloatArray,
    distance_m: float,
    rng: np.random.Generator,
    directivity_db: float = 0.0,
) -> FloatArray:
    """Binaural impulse response of a source in a shoebox room.

    Parameters
    ----------
    room, head
        Where and through which ears.
    direction : float [3]
        Unit vector of the direct sound in head coordinates.
    distance_m : float
        Distance of the source.
    rng : numpy Generator
        Draws the diffuse tail.
    directivity_db : float
        How much more the source radiates towards the listener than on average; negative for one that faces away. The direct
        sound keeps its level, the room gets less.

    Returns
    -------
    float32 [2, n]
        Amplitude 1 / distance for the direct sound; time 0 is emission.
    """
    images, damping = _image_sources(room, room.position(direction, distance_m))
    into_room = 10.0 ** (-directivity_db * np.asarray(DIRECTIVITY_BY_BAND) / 20.0)
    offsets = rotate(images - np.asarray(room.listener_m), -room.facing_deg)
    distances = np.maximum(np.linalg.norm(offsets, axis=1), 0.1)
    reflected = np.arange(len(distances)) != np.argmin(
        distances
    )  # pyroomacoustics does not put the source itself first
    damping[:, reflected] *= into_room[:, None]
    length = int(SAMPLE_RATE_HZ * min(1.6, max(0.08, 1.05 * max(room.t60_s)) + distance_m / SPEED_OF_SOUND_M_S))
    early = sum_images(head, (offsets / distances[:, None]).astype(np.float32), distances, damping, length)
    return early + diffuse_tail(room, coherent_noise(head, length, rng), distances, damping, into_room)


def free_field_ir(head: Head, direction: FloatArray, distance_m: float) -> FloatArray:
    """Binaural impulse response without a room, float32 [2, n]."""
    length = int(distance_m / SPEED_OF_SOUND_M_S * SAMPLE_RATE_HZ) + 256
    return sum_images(head, direction[None], np.array([distance_m]), np.ones((3, 1)), length)


def _image_sources(room: Shoebox, source_m: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Positions [N, 3] and amplitude factors [3 bands, N] of the images up to ``IMAGE_ORDER``, direct sound included."""
    import pyroomacoustics as pra

    absorption = room.absorption()
    material = pra.Material({"description": "walls", "coeffs": list(absorption), "center_freqs": list(BAND_CENTRES_HZ)})
    box = pra.ShoeBox(list(room.size_m), fs=SAMPLE_RATE_HZ, materials=material, max_order=IMAGE_ORDER)
    box.add_source(list(source_m))
    box.add_microphone(list(room.listener_m))
    box.image_source_model()
    damping = np.asarray(box.sources[0].damping)
    # pyroomacoustics works in octaves; ours are the ones nearest to the three band centres.
    octaves = np.asarray(box.octave_bands.centers)
    rows = [int(np.argmin(np.abs(np.log2(octaves / centre)))) for centre in BAND_CENTRES_HZ]
    return np.asarray(box.sources[0].images).T, damping[rows]


def sum_images(
    head: Head,
    directions: FloatArray,
    distances: NDArray[np.float64],
    damping: NDArray[np.float64],
    length: int,
) -> FloatArray:
    """Add the banded HRIR of every image at its delay."""
    taps = head.banded.shape[-1]
    index = head.nearest(directions)
    # The direct sound keeps its delay; fractions of a sample are the same in both ears and carry no direction.
    start = np.rint(distances / SPEED_OF_SOUND_M_S * SAMPLE_RATE_HZ).astype(int)
    keep = start + taps < length
    gains = (damping / distances).T[keep].astype(np.float32)
    pieces = np.einsum("nb,nebt->ent", gains, head.banded[index[keep]])
    positions = (start[keep][:, None] + np.arange(taps)).ravel()
    ears = [np.bincount(positions, piece.ravel(), minlength=length)[:length] for piece in pieces]
    return np.asarray(np.stack(ears), np.float32)


def diffuse_tail(
    room: Shoebox,
    noise: FloatArray,
    distances: NDArray[np.float64],
    damping: NDArray[np.float64],
    into_room: NDArray[np.float64] | None = None,
) -> FloatArray:
    """Noise that carries the energy the image sources up to ``IMAGE_ORDER`` do not (diffuse-field theory minus images).

    Parameters
    ----------
    room : Shoebox
    noise : float32 [3, 2, n]
        See `coherent_noise`.
    distances : float [N]
        Of the images, metres.
    damping : float [3, N]
        Amplitude factors of the images.
    into_room : float [3], optional
        Amplitude factors of all that reaches the room, by band; 1 without.

    Returns
    -------
    float32 [2, n]
    """
    length = noise.shape[-1]
    volume = float(np.prod(room.size_m))
    hop = 80
    edges = np.arange(0, length + hop, hop)
    time_s = edges[:-1] / SAMPLE_RATE_HZ
    arrival = distances / SPEED_OF_SOUND_M_S * SAMPLE_RATE_HZ
    tail = np.zeros((2, length), np.float32)
    smooth = np.hanning(9)[1:-1] / np.hanning(9)[1:-1].sum()
    for band in range(3):
        # Density of image energy at time t: 4 pi c^3 t^2 / V images a second, each (1 / ct)^2, decaying with T60.
        density = 4 * np.pi * SPEED_OF_SOUND_M_S / volume * np.exp(-13.816 * time_s / room.t60_s[band])
        density = density if into_room is None else density * into_room[band] ** 2
        have = np.histogram(arrival, edges, weights=(damping[band] / distances) ** 2)[0] / (hop / SAMPLE_RATE_HZ)
        missing = np.maximum(0, density - np.convolve(have, smooth, mode="same"))
        # The first image is a late one: the tail begins some 20 ms after the direct sound, and 0.15 dB of the reverberation is
        # missing (60 rooms). It stays so as long as frozen sets are to keep their bytes.
        missing[time_s < arrival[0] / SAMPLE_RATE_HZ + 0.002] = 0
        envelope = np.sqrt(missing / SAMPLE_RATE_HZ)
        tail += noise[band] * np.interp(np.arange(length), edges[:-1] + hop / 2, envelope).astype(np.float32)
    return tail


def coherent_noise(head: Head, length: int, rng: np.random.Generator) -> FloatArray:
    """Unit-power binaural noise of a diffuse field, split into bands: float32 [3, 2, length]."""
    size = int(2 ** np.ceil(np.log2(length)))
    frequency = np.fft.rfftfreq(size, 1 / SAMPLE_RATE_HZ)
    spectra = np.fft.rfft(rng.standard_normal((2, size), dtype=np.float32))
    coherence = np.sinc(2 * frequency * COHERENCE_DISTANCE_M / SPEED_OF_SOUND_M_S)
    spectra[1] = coherence * spectra[0] + np.sqrt(1 - coherence**2) * spectra[1]
    bins = np.linspace(0, SAMPLE_RATE_HZ / 2, head.diffuse.shape[1])
    spectra *= np.stack([np.interp(frequency, bins, ear) for ear in head.diffuse])
    edges = (0.0, *BAND_EDGES_HZ, SAMPLE_RATE_HZ)
    bands = [spectra * ((frequency >= low) & (frequency < high)) for low, high in itertools.pairwise(edges)]
    return np.asarray(np.fft.irfft(np.stack(bands), size)[..., :length], np.float32)


@dataclass(frozen=True)
class MeasuredResponse:
    """One measured binaural room impulse response with its documented direction."""

    room: str
    path: Path
    azimuth_deg: float
    elevation_deg: float
    distance_m: float | None
    t60_s: float

    def samples(self) -> FloatArray:
        """Impulse response at 16 kHz, float32 [2, n], scaled to unit direct-sound energy of the nearer ear."""
        return _read_response(self.path)


@functools.lru_cache(maxsize=512)
def _read_response(path: Path) -> FloatArray:
    data, rate = soundfile.read(path, dtype="float32", always_2d=True)
    if data.shape[1] != 2:
        raise InputError(f"{path}: {data.shape[1]} channels; a binaural response has two")
    response = np.ascontiguousarray(soxr.resample(data, rate, SAMPLE_RATE_HZ).T)
    peak = int(np.argmax(np.abs(response).max(axis=0)))
    direct = response[:, max(0, peak - 32) : peak + 64]
    return np.asarray(response / np.sqrt((direct**2).sum(axis=1).max() + 1e-12), np.float32)


def load_measured(folder: Path) -> list[MeasuredResponse]:
    """Measured responses listed in ``manifest.csv`` (columns file, room, az_deg, el_deg, distance_m, t60_est_s).

    Raises
    ------
    InputError
        There is no such list, or a line of it cannot be read.
    """
    manifest = folder / "manifest.csv"
    if not manifest.is_file():
        raise InputError(f"{manifest}: missing; expected a csv with columns {_COLUMNS}")
    found = []
    try:
        with manifest.open(newline="", encoding="utf-8-sig") as file:
            for number, row in enumerate(csv.DictReader(file), start=2):
                found.append(_measured(folder, row, f"{manifest}, line {number}"))
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{manifest}: not a readable csv ({error})") from error
    return found


def _measured(folder: Path, row: dict[str, str], where: str) -> MeasuredResponse:
    try:
        return MeasuredResponse(
            room=row["file"].split("/")[0],
            path=folder / row["file"],
            azimuth_deg=_wrapped(float(row["az_deg"])),
            elevation_deg=_number(row["el_deg"]) or 0.0,
            distance_m=_number(row["distance_m"]),
            t60_s=_number(row["t60_est_s"]) or 0.3,
        )
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise InputError(f"{where}: {error!r}; expected {_COLUMNS}") from error


def _wrapped(azimuth_deg: float) -> float:
    """In the range of scene descriptions, (-180, 180]; lists of others count from 0 to 360."""
    if not abs(azimuth_deg) <= 360.0:
        raise ValueError(f"azimuth {azimuth_deg:g}")
    return azimuth_deg - 360.0 if azimuth_deg > 180.0 else azimuth_deg + 360.0 if azimuth_deg < -180.0 else azimuth_deg


def _number(text: str) -> float | None:
    match = re.match(r"\s*([+-]?\d+(?:\.\d+)?)", text)
    return float(match.group(1)) if match else None


# The head's banded filters delay everything by half their length; onsets are stated against the delayed direct sound.
BAND_DELAY_SAMPLES = BAND_TAPS // 2
