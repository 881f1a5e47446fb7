"""Whether the directions of measured heads agree with their own interaural delays; public sets exist in which they do not."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from earshot.runtime.errors import InputError

FloatArray = NDArray[np.float64]
# An ear distance that no person has: beyond it a set is broken, not extreme.
MAX_PLAUSIBLE_ITD_S = 1.1e-3
# The weakest public set at hand (ARI, whose responses are faded in) reaches 0.4; random delays stay near 0.
MIN_CORRELATION = 0.2


@dataclass(frozen=True)
class DelayWitness:
    """What the interaural delays of a set say about its directions.

    Attributes
    ----------
    name : str
        File name of the set.
    directions : int
        How many it holds.
    correlation : float
        Of the delay with the left component of the direction; negative = mirrored; 0 where no direction is lateral.
    longest_itd_s : float
        The delay that one direction in twenty exceeds.
    """

    name: str
    directions: int
    correlation: float
    longest_itd_s: float

    @property
    def mirrored(self) -> bool:
        """Whether left and right of the directions contradict the delays."""
        return self.correlation < 0

    def __str__(self) -> str:
        verdict = (
            "azimuths are MIRRORED against its own interaural time differences"
            if self.mirrored
            else "azimuths agree with its interaural time differences"
        )
        longest = f"{1e6 * self.longest_itd_s:.0f} us"
        return f"{self.name}: {verdict} (correlation {self.correlation:.2f}, {self.directions} directions, {longest})"


def inspect_delays(
    name: str, hrirs: NDArray[np.floating], directions: NDArray[np.floating], rate_hz: float
) -> DelayWitness:
    """Judge responses [D, 2, N] at a sample rate by their delays.

    Raises
    ------
    InputError
        Lateral directions without delays that follow them, or delays that no head has.
    """
    delay = _onset_delays(hrirs)
    witness = DelayWitness(
        name,
        len(directions),
        itd_azimuth_correlation(hrirs, directions),
        float(np.quantile(np.abs(delay), 0.95)) / rate_hz,
    )
    lateral = np.std(directions[:, 1]) > 0.1
    if lateral and abs(witness.correlation) < MIN_CORRELATION:
        raise InputError(
            f"{name}: its interaural delays do not follow its directions (correlation {witness.correlation:.2f}); "
            "are its delays in Data.Delay, its positions in degrees?"
        )
    if witness.longest_itd_s > MAX_PLAUSIBLE_ITD_S:
        longest = 1e3 * witness.longest_itd_s
        raise InputError(f"{name}: interaural delays up to {longest:.1f} ms; no head is that wide, is its rate right?")
    return witness


def itd_azimuth_correlation(hrirs: NDArray[np.floating], directions: NDArray[np.floating]) -> float:
    """Correlation of the measured interaural delay with the left component of the direction; negative = mirrored.

    Parameters
    ----------
    hrirs : float [D, 2, N]
    directions : float [D, 3]
    """
    delay = _onset_delays(hrirs)
    if np.std(delay) == 0 or np.std(directions[:, 1]) == 0:
        return 0.0
    return float(np.corrcoef(delay, directions[:, 1])[0, 1])


def write_mended(path: Path, folder: Path) -> Path:
    """Write a copy of a mirrored SOFA file with its receivers exchanged; returns where it is.

    Raises
    ------
    InputError
        The copy would replace the file itself.
    """
    import sofar

    target = folder / path.name
    if target.resolve() == path.resolve():
        raise InputError(f"{target}: the mended copy would replace the set; give another folder")
    folder.mkdir(parents=True, exist_ok=True)
    sofa = sofar.read_sofa(str(path), verify=False, verbose=False)
    sofa.Data_IR = sofa.Data_IR[:, ::-1].copy()
    if np.ndim(sofa.Data_Delay) == 2:
        sofa.Data_Delay = sofa.Data_Delay[:, ::-1].copy()
    sofar.write_sofa(str(target), sofa)
    return target


def _onset_delays(hrirs: NDArray[np.floating]) -> FloatArray:
    """How many samples later the right ear hears, [D]."""
    onset = np.argmax(np.abs(hrirs) > 0.2 * np.abs(hrirs).max(axis=-1, keepdims=True), axis=-1)
    return np.asarray(onset[:, 1] - onset[:, 0], np.float64)
