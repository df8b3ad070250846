from __future__ import annotations

import struct
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from plantood.errors import PhotoTooLarge, UnreadablePhoto
from plantood.photo.formats import exif
from plantood.photo.formats.heif import isobmff
from plantood.photo.images import load_image
from tests.photo import crowded
from tests.photos import encode, heic, scene
from tests.security import payloads
from tests.security.payloads import boxed

TURNED = Image.Exif()
TURNED[exif.ORIENTATION_TAG], TURNED[0x010F] = 6, "A camera"
HEIC = heic(scene(1200, 900), quality=60, tile_size=256, exif=TURNED.tobytes())
"""As phones write it: of tiles, each with a place of its own in the file."""
AVIF = encode(scene(), "AVIF", exif=TURNED)


@pytest.mark.parametrize("photo", [HEIC, AVIF], ids=["heic", "avif"])
def test_a_whole_photo_passes(photo: bytes) -> None:
    isobmff.bare(photo)
    assert load_image(photo).pixels.std() > 20


def test_the_heic_of_this_test_has_tiles() -> None:
    assert HEIC.count(b"hvc1") > 10


@pytest.mark.parametrize("photo", [HEIC, AVIF], ids=["heic", "avif"])
@pytest.mark.parametrize("share", [0.05, 0.2, 0.5, 0.9, 0.99])
def test_a_photo_of_which_a_part_is_missing_is_refused(photo: bytes, share: float) -> None:
    with pytest.raises(UnreadablePhoto):
        load_image(photo[: int(len(photo) * share)])


def test_a_real_phone_s_photo_that_broke_off_is_refused(shared: Path) -> None:
    with pytest.raises(UnreadablePhoto, match="broke off"):
        load_image(shared / "cases" / "heic_cut_20pct.heic")


def test_what_some_phones_append_is_no_box_and_does_no_harm() -> None:
    load_image(HEIC + b"SEFT trailer of a maker" * 10)


def test_a_file_of_boxes_is_refused() -> None:
    start = HEIC[: int.from_bytes(HEIC[:4])]
    with pytest.raises(UnreadablePhoto, match="made of boxes"):
        isobmff.bare(start + boxed(b"free", b"") * 100_000)


@pytest.mark.parametrize("photo", [HEIC, AVIF], ids=["heic", "avif"])
def test_metadata_are_hidden_from_the_decoder(photo: bytes) -> None:
    """They stay where they are, since all else is found by its place."""
    given_to_it = isobmff.bare(photo).data
    assert b"\0\0Exif" in photo[:6000]
    assert b"\0\0Exif" not in given_to_it[: photo.index(b"mdat")]
    assert len(given_to_it) == len(photo)
    loaded = load_image(photo)
    assert loaded.height > loaded.width


def test_parts_that_are_the_same_bytes_again_and_again_are_refused() -> None:
    """The decoder would put each of them together anew."""
    plain = encode(scene(), "AVIF")
    place = plain.index(b"iloc")
    size = struct.pack(">I", len(plain) - plain.index(b"mdat") - 4)
    start = plain.index(size, place) - 4
    for pieces in (1, 400):
        more = plain[start : start + 8] * pieces
        photo = plain[: start - 2] + struct.pack(">H", pieces) + more + plain[start + 8 :]
        grown = len(more) - 8
        for box in (b"iloc", b"meta"):
            where = photo.index(box) - 4
            length = struct.unpack_from(">I", photo, where)[0] + grown
            photo = photo[:where] + struct.pack(">I", length) + photo[where + 4 :]
        if pieces == 1:
            assert photo == plain
            continue
        with pytest.raises(UnreadablePhoto, match="parts"):
            isobmff.bare(photo)


def _film(brand: bytes, between: bytes = b"") -> bytes:
    """An AVIF that says what it is by ``brand``, and has a film beside its picture."""
    film = encode(scene(), "AVIF", save_all=True, append_images=[scene()])
    size = int.from_bytes(film[:4])
    place = film.index(b"moov") - 4
    moov = film[place : place + int.from_bytes(film[place : place + 4])]
    # to the end, so that all else stays where it is
    rest = film[size:].replace(b"moov", b"free", 1)
    return film[:8] + brand + film[12:size] + rest + between + moov


def test_a_film_beside_the_photo_is_hidden_from_the_decoder() -> None:
    """It may take that for the photo, which nobody has measured."""
    photo = _film(b"mif1")
    assert b"moov" in photo
    assert b"moov" not in isobmff.bare(photo).data
    with pytest.raises(UnreadablePhoto, match="animation"):
        load_image(_film(b"avis"))


def test_a_film_behind_many_boxes_is_not_overlooked() -> None:
    with pytest.raises(UnreadablePhoto, match="made of boxes"):
        isobmff.bare(_film(b"mif1", boxed(b"free", b"") * 1_000))


@pytest.mark.parametrize("kind", [b"iloc", b"iinf", b"pitm", b"iprp"])
def test_a_list_that_is_there_twice_is_refused(kind: bytes) -> None:
    meta = AVIF.index(b"meta") - 4
    (size,) = struct.unpack_from(">I", AVIF, meta)
    second = AVIF.index(kind) - 4
    again = AVIF[second : second + struct.unpack_from(">I", AVIF, second)[0]]
    photo = AVIF[:meta] + struct.pack(">I", size + len(again)) + AVIF[meta + 4 : meta + size]
    with pytest.raises(UnreadablePhoto, match="two lists"):
        isobmff.bare(photo + again + AVIF[meta + size :])


def test_two_lists_of_properties_are_refused() -> None:
    with pytest.raises(UnreadablePhoto, match="two lists"):
        isobmff.bare(crowded.heic_with_properties(boxed(b"ipco", b"")))


@pytest.mark.parametrize(("lists", "items", "each"), [(2, 2_100, 0), (20, 50, 40), (1, 130, 255)])
def test_whose_properties_are_is_counted_over_all_lists(lists: int, items: int, each: int) -> None:
    with pytest.raises(UnreadablePhoto, match="made of parts"):
        isobmff.bare(crowded.heic_with_properties(crowded.associations(items, each) * lists))


def test_pieces_are_counted_over_all_tiles() -> None:
    photo = crowded.avif_of_tiles(100, crowded.sequence(64, 7) + b"\x12\0" * 6)
    assert isobmff.bare(photo).pixels == 64 * 64
    for tiles, pieces in ((100, 12), (3_000, 7), (3, 500)):
        tile = crowded.sequence(64, 7) + b"\x12\0" * (pieces - 1)
        with pytest.raises(UnreadablePhoto, match="made of headers"):
            isobmff.bare(crowded.avif_of_tiles(tiles, tile))


def test_two_lists_of_contents_are_refused() -> None:
    meta = AVIF.index(b"meta") - 4
    with pytest.raises(UnreadablePhoto, match="two lists"):
        isobmff.bare(AVIF + AVIF[meta : meta + struct.unpack_from(">I", AVIF, meta)[0]])


def test_tiles_that_are_far_larger_than_the_photo_are_refused() -> None:
    """Each of them would be decoded, for a photo of 64 pixels."""
    with pytest.raises(PhotoTooLarge, match="far more"):
        load_image(payloads.heic_of_large_tiles(64, 3, 1024))


def test_a_picture_in_hevc_that_is_larger_than_said_is_refused_by_its_decoder() -> None:
    with pytest.raises(UnreadablePhoto):
        load_image(payloads.heic_of_two_sizes(400, 2000, 1500))


def test_the_tiles_of_a_phone_s_photo_are_little_more_than_it() -> None:
    photo = isobmff.bare(HEIC)
    assert photo.pixels == 256 * 256
    assert 1200 * 900 <= photo.work < 1.3 * 1200 * 900


@pytest.mark.parametrize("coding", [b"unci", b"j2k1", b"jpeg", b"vvc1", b"mski", b"iovl"])
def test_a_photo_coded_as_no_phone_does_is_not_given_to_the_decoder(coding: bytes) -> None:
    with pytest.raises(UnreadablePhoto, match="no phone"):
        isobmff.bare(HEIC.replace(b"\0\0hvc1\0", b"\0\0" + coding + b"\0", 1))


def test_an_avif_is_as_large_as_its_picture_and_not_as_it_says() -> None:
    photo = payloads.avif_larger_than_it_says(8000, 6000, 64)
    assert isobmff.bare(photo).pixels >= 48_000_000
    with pytest.raises(PhotoTooLarge):
        load_image(photo)


@given(st.data())
def test_a_damaged_list_of_contents_raises_nothing_else(data: st.DataObject) -> None:
    photo = bytearray(HEIC if data.draw(st.booleans()) else AVIF)
    head = min(len(photo), 6000)
    for _ in range(data.draw(st.integers(1, 8))):
        photo[data.draw(st.integers(8, head - 1))] = data.draw(st.integers(0, 255))
    with suppress(UnreadablePhoto):
        isobmff.bare(bytes(photo))


@given(data=st.data())
def test_boxes_of_anything_are_a_photo_or_refused(data: st.DataObject) -> None:
    kinds = st.sampled_from(
        [b"ftyp", b"meta", b"iloc", b"iinf", b"infe", b"pitm", b"iref", b"idat"]
    )
    numbers = st.binary(max_size=60)

    def box(content: bytes) -> bytes:
        size = data.draw(st.just(8 + len(content)) | st.integers(0, 40))
        return struct.pack(">I4s", size, data.draw(kinds)) + content

    inner = b"".join(box(data.draw(numbers)) for _ in range(data.draw(st.integers(0, 6))))
    file = box(b"heic") + struct.pack(">I4s", 12 + len(inner), b"meta") + bytes(4) + inner
    with suppress(UnreadablePhoto):
        isobmff.bare(file)


@pytest.mark.parametrize("photo", [HEIC, AVIF], ids=["heic", "avif"])
@given(data=st.data())
def test_wherever_a_photo_broke_off_it_is_refused(photo: bytes, data: st.DataObject) -> None:
    with pytest.raises(UnreadablePhoto):
        isobmff.bare(photo[: data.draw(st.integers(len(photo) // 2, len(photo) - 1))])
