// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package bluesky

import (
	"bytes"
	"encoding/binary"
	"image"
)

// orientation returns how a photo is to be turned, as Exif has it: 1 is upright,
// and also stands for not known. Cameras turn nothing themselves, and package
// jpeg does not look.
func orientation(photo []byte) int {
	tiff := exif(photo)
	if len(tiff) < 8 {
		return 1
	}
	var order binary.ByteOrder = binary.BigEndian
	if tiff[0] == 'I' {
		order = binary.LittleEndian
	}
	at := uint64(order.Uint32(tiff[4:]))
	if at+2 > uint64(len(tiff)) {
		return 1
	}
	entries := tiff[at+2:]
	for range order.Uint16(tiff[at:]) {
		const size, tagOrientation = 12, 0x0112
		if len(entries) < size {
			break
		}
		if value := int(order.Uint16(entries[8:])); order.Uint16(entries) == tagOrientation && value >= 1 && value <= 8 {
			return value
		}
		entries = entries[size:]
	}
	return 1
}

// exif returns what a JPEG file has of Exif, or nil.
func exif(photo []byte) []byte {
	const start, scan, app1 = 0xd8, 0xda, 0xe1
	if !bytes.HasPrefix(photo, []byte{0xff, start}) {
		return nil
	}
	for rest := photo[2:]; len(rest) >= 4 && rest[0] == 0xff && rest[1] != scan; {
		n := int(binary.BigEndian.Uint16(rest[2:]))
		if n < 2 || 2+n > len(rest) {
			return nil
		}
		if tiff, ok := bytes.CutPrefix(rest[4:2+n], []byte("Exif\x00\x00")); ok && rest[1] == app1 {
			return tiff
		}
		rest = rest[2+n:]
	}
	return nil
}

// upright turns a picture that has an orientation.
func upright(src *image.RGBA, orientation int) *image.RGBA {
	if orientation == 1 {
		return src
	}
	w, h := src.Rect.Dx(), src.Rect.Dy()
	bounds := image.Rect(0, 0, w, h)
	if orientation >= 5 {
		bounds = image.Rect(0, 0, h, w)
	}
	dst := image.NewRGBA(bounds)
	for y := range bounds.Dy() {
		for x := range bounds.Dx() {
			dst.SetRGBA(x, y, src.RGBAAt(source(x, y, w, h, orientation)))
		}
	}
	return dst
}

// source is which point of a picture of w × h points comes to (x, y).
func source(x, y, w, h, orientation int) (int, int) {
	switch orientation {
	case 2:
		return w - 1 - x, y
	case 3:
		return w - 1 - x, h - 1 - y
	case 4:
		return x, h - 1 - y
	case 5:
		return y, x
	case 6:
		return y, h - 1 - x
	case 7:
		return w - 1 - y, h - 1 - x
	case 8:
		return w - 1 - y, x
	}
	return x, y
}
