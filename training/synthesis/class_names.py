"""What collections call the classes of the label table: its own names, and those of the AudioSet ontology."""

from __future__ import annotations

import difflib
import re
from functools import lru_cache

from earshot.runtime.errors import InputError
from earshot.runtime.labels import load_labels

# Labels of the FSD50K vocabulary (AudioSet names with underscores) whose class goes by another name in the label table.
FSD50K_CLASSES = {
    "Alarm": None,
    "Applause": "clapping",
    "Bark": "dog",
    "Bell": None,
    "Bird": None,
    "Bird_vocalization_and_bird_call_and_bird_song": "chirping_birds",
    "Chicken_and_rooster": None,
    "Child_speech_and_kid_speaking": "speech",
    "Chuckle_and_chortle": "laughing",
    "Clock": None,
    "Conversation": "speech",
    "Crumpling_and_crinkling": None,
    "Cymbal": None,
    "Female_speech_and_woman_speaking": "speech",
    "Fire": "crackling_fire",
    "Giggle": "laughing",
    "Glass": None,
    "Guitar": None,
    "Idling": "engine",
    "Male_speech_and_man_speaking": "speech",
    "Meow": "cat",
    "Ocean": "sea_waves",
    "Raindrop": "rain",
    "Screech": None,
    "Speech_synthesizer": None,
    "Subway_and_metro_and_underground": None,
    "Thunder": "thunderstorm",
    "Typing": None,
    "Water_tap_and_faucet": None,
}

# Display names of AudioSet beside those above: kinds of a class that the table has no name for, and a name that would
# also stand for helicopters.
AUDIOSET_CLASSES = {
    "Aircraft": None,
    "Ambulance (siren)": "siren",
    "Bee, wasp, etc.": "insects_flying",
    "Belly laugh": "laughing",
    "Bow-wow": "dog",
    "Caterwaul": "cat",
    "Civil defense siren": "siren",
    "Fire engine, fire truck (siren)": "siren",
    "Fly, housefly": "insects_flying",
    "Heavy engine (low frequency)": "engine",
    "Light engine (high frequency)": "engine",
    "Medium engine (mid frequency)": "engine",
    "Narration, monologue": "speech",
    "Oink": "pig",
    "Police car (siren)": "siren",
    "Rain on surface": "rain",
    "Snicker": "laughing",
    "Yip": "dog",
}


def fsd50k_key(label: str) -> str | None:
    """Class key of a label of FSD50K's vocabulary; None if it is none of the classes or stands for several."""
    if label in FSD50K_CLASSES:
        return FSD50K_CLASSES[label]
    # "Walk_and_footsteps" stands for AudioSet's "Walk, footsteps".
    return _names().get(_plain(label)) or _names().get(_plain(label.replace("_and_", ", ")))


def audioset_key(name: str) -> str | None:
    """Class key of a display name of AudioSet's ontology; None if it is none of the classes or stands for several."""
    plain = _plain(name)
    exceptions = _audioset_exceptions()
    return exceptions[plain] if plain in exceptions else _names().get(plain)


def known_class(name: str, where: str) -> str:
    """Class key of any name of the label table.

    Raises
    ------
    InputError
        There is none; the nearest ones are named.
    """
    key = _names().get(_plain(name))
    if key is None:
        near = difflib.get_close_matches(_plain(name), _names(), n=3, cutoff=0.5)
        hint = f"; did you mean {' or '.join(near)}?" if near else "; see runtime/labels.json for the known ones"
        raise InputError(f"{where}: class {name!r} is not in the label table{hint}")
    return key


@lru_cache(maxsize=1)
def _audioset_exceptions() -> dict[str, str | None]:
    spelt = {label.replace("_and_", " "): key for label, key in FSD50K_CLASSES.items()}
    return {_plain(label): key for label, key in (spelt | AUDIOSET_CLASSES).items()}


@lru_cache(maxsize=1)
def _names() -> dict[str, str]:
    """Class key by every plain name; keys and display names win over synonyms, shared synonyms name nothing."""
    names: dict[str, str] = {}
    shared: set[str] = set()
    for label in load_labels():
        for synonym in map(_plain, label.synonyms):
            if names.setdefault(synonym, label.key) != label.key:
                shared.add(synonym)
    for name in shared:
        del names[name]
    for label in load_labels():
        names.update({_plain(text): label.key for text in (label.spoken, label.name, label.key)})
    return names


def _plain(text: str) -> str:
    return " ".join(re.sub(r"[^a-z0-9]+", " ", text.lower()).split())
