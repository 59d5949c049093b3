// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package bluesky

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	_ "image/gif"
	"image/jpeg"
	_ "image/png"
	"net/http"
)

const (
	// maxThumb is how large a card's picture may be, in bytes: lexicon
	// app.bsky.embed.external.
	maxThumb = 1_000_000
	// maxPixels is how many a picture may have to be decoded, which takes 8 bytes
	// each at worst. A file of some kilobytes can claim billions of them.
	maxPixels = 25_000_000
)

// shrink returns a picture as it is if it is small enough, and otherwise as a
// JPEG that is. The same picture always gives the same bytes.
func shrink(content []byte, limit int) (out []byte, mimeType string, err error) {
	mimeType = http.DetectContentType(content)
	config, format, err := image.DecodeConfig(bytes.NewReader(content))
	if mimeType == "image/webp" && len(content) <= limit {
		return content, mimeType, nil // Go cannot look inside, others can
	}
	switch {
	case err != nil:
		return nil, "", fmt.Errorf("%s is no picture that can be shown: use JPEG, PNG or GIF", mimeType)
	case config.Width <= 0 || config.Height <= 0 || config.Width > maxPixels/config.Height:
		return nil, "", fmt.Errorf("%d × %d are too many pixels", config.Width, config.Height)
	case len(content) <= limit:
		return content, "image/" + format, nil
	}
	img, _, err := image.Decode(bytes.NewReader(content))
	if err != nil {
		return nil, "", fmt.Errorf("the picture is damaged: %w", err)
	}
	turn := orientation(content)
	// Cards are shown with less than a thousand pixels.
	for _, try := range []struct{ side, quality int }{{1600, 85}, {1200, 80}, {1000, 70}, {600, 60}, {300, 50}} {
		var b bytes.Buffer
		if err := jpeg.Encode(&b, upright(scale(img, try.side), turn), &jpeg.Options{Quality: try.quality}); err != nil {
			return nil, "", err
		}
		if b.Len() <= limit {
			return b.Bytes(), "image/jpeg", nil
		}
	}
	return nil, "", errors.New("the picture cannot be made small enough")
}

// scale returns a picture on white, whose longer side is no longer than given.
// Each pixel is the mean of those that it stands for.
func scale(src image.Image, side int) *image.RGBA {
	b := src.Bounds()
	w, h := b.Dx(), b.Dy()
	if longer := max(w, h); longer > side {
		w, h = max(1, w*side/longer), max(1, h*side/longer)
	}
	dst := image.NewRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		top, bottom := share(y, h, b.Dy())
		// A few rows at a time: as RGBA the whole would take much memory.
		rows := image.NewRGBA(image.Rect(0, 0, b.Dx(), bottom-top))
		draw.Draw(rows, rows.Rect, image.White, image.Point{}, draw.Src)
		draw.Draw(rows, rows.Rect, src, image.Pt(b.Min.X, b.Min.Y+top), draw.Over)
		for x := range w {
			left, right := share(x, w, b.Dx())
			dst.SetRGBA(x, y, mean(rows, left, right))
		}
	}
	return dst
}

// share returns which part of a length the i-th of n parts has, at least one.
func share(i, n, length int) (from, to int) {
	from = i * length / n
	return from, max(from+1, (i+1)*length/n)
}

// mean returns the mean colour of some columns.
func mean(rows *image.RGBA, left, right int) color.RGBA {
	var r, g, b, n uint64
	for y := range rows.Rect.Dy() {
		line := rows.Pix[y*rows.Stride+4*left : y*rows.Stride+4*right]
		for ; len(line) >= 4; line = line[4:] {
			r, g, b, n = r+uint64(line[0]), g+uint64(line[1]), b+uint64(line[2]), n+1
		}
	}
	return color.RGBA{uint8(r / n), uint8(g / n), uint8(b / n), 255}
}
