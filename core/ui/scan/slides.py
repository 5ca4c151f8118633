"""For slides: cine and turning lungs as GIF and MP4, made beside the page."""

from __future__ import annotations

from dataclasses import dataclass, field

import streamlit as st

from core.drawing import CORRECTED_COLOURS, PREDICTION_COLOURS, cine_frames, turning_frames
from core.output.exports import gif_bytes, mp4_bytes
from core.system import OnProgress, ShouldCancel
from core.ui.job_result import result_of
from core.ui.job_slot import JobSlot
from core.ui.jobs import REPORT_QUEUE
from core.ui.scan.browsing import place_of
from core.ui.scan.measures import CORRECTED, known_masks
from core.ui.session import OpenStudy, this_session
from core.volume import MaskPair

_CINE, _TURNING = "Slices", "Rotating lungs"
_FRAMES = 36
_SLICES_PER_SECOND, _TURNS_PER_SECOND = 10.0, 12.0


@dataclass(eq=False)
class Clips:
    """The clip that this session makes or has made."""

    slot: JobSlot[bytes] = field(default_factory=lambda: JobSlot("clip", REPORT_QUEUE))


def show_slides(current: OpenStudy) -> None:
    """Choices, a button that makes the clip, progress with cancel, and the file; nothing for one
    slice, which does not move."""
    if current.study.volume.shape[2] == 1:
        return
    pairs = {name: pair for name, pair in known_masks(current).items() if name != "Truth"}
    name = next(iter(pairs), None)
    with st.popover("For slides", icon=":material/slideshow:"):
        what = st.segmented_control(
            "Clip",
            (_CINE, _TURNING),
            default=_CINE,
            required=True,
            key="clip-what",
            help="All axial slices from the feet to the head, or the lungs in one full rotation.",
        )
        kind = st.segmented_control(
            "File",
            ("GIF", "MP4"),
            default="GIF",
            required=True,
            key="clip-kind",
            help="GIF plays everywhere. MP4 (MPEG-4) is smaller, for PowerPoint, Keynote and VLC.",
        )
        light = st.toggle(
            "Light background", key="clip-light", help="For slides with a light background."
        )
        if what == _TURNING and (name is None or pairs[name].lung is None):
            st.caption("Nothing is marked yet. Mark lung and infection first.")
            return
        chosen = str(what), str(kind), "light" if light else "dark"
        _make_and_offer(current, pairs.get(name or ""), name == CORRECTED, chosen)


def _make_and_offer(
    current: OpenStudy, pair: MaskPair | None, by_hand: bool, chosen: tuple[str, str, str]
) -> None:
    slot = this_session().part(Clips).slot
    place = place_of(current)
    subject = (current.token, current.correction.revision, id(pair), *chosen)
    slot.drop_unless(subject)
    if slot.job is None:
        if st.button("Make the clip", icon=":material/movie:", help="Takes some seconds."):
            window = (place.window.center, place.window.width)
            _start(slot, current, pair or MaskPair(None, None), by_hand, chosen, window, subject)
            st.rerun()
        return
    made = result_of(slot, doing="Making the clip")
    if made is None:
        return
    what, kind, _ = chosen
    st.download_button(
        f"Save the {kind}",
        made,
        file_name=f"lunglens_{'slices' if what == _CINE else 'turning'}.{kind.lower()}",
        mime="image/gif" if kind == "GIF" else "video/mp4",
        icon=":material/download:",
        on_click="ignore",
        type="primary",
        help="Without the scan's name, which may be a person's.",
    )


def _start(
    slot: JobSlot[bytes],
    current: OpenStudy,
    pair: MaskPair,
    by_hand: bool,
    chosen: tuple[str, str, str],
    window: tuple[float, float],
    subject: object,
) -> None:
    volume, stamp = current.study.volume, current.stamp
    what, kind, background = chosen
    colours = CORRECTED_COLOURS if by_hand else PREDICTION_COLOURS

    def work(on_progress: OnProgress, should_cancel: ShouldCancel) -> bytes:
        center, width = window
        if what == _CINE:
            frames = cine_frames(
                volume,
                pair,
                center=center,
                width=width,
                background=background,
                stamp=stamp,
                colours=colours,
            )
            total, rate = volume.shape[2], _SLICES_PER_SECOND
        else:
            frames = turning_frames(
                volume, pair, frames=_FRAMES, background=background, stamp=stamp, colours=colours
            )
            total, rate = _FRAMES, _TURNS_PER_SECOND
        write = gif_bytes if kind == "GIF" else mp4_bytes
        return write(
            frames,
            frames_per_second=rate,
            total=total,
            on_progress=on_progress,
            should_cancel=should_cancel,
        )

    slot.start(work, owner=current, subject=subject)
