// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package release

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
)

// le is the byte order of zip and gzip.
var le = binary.LittleEndian

// The records of a zip, by the numbers of APPNOTE.TXT section 4.3: the
// signature and the length without what has a length of its own.
const (
	localSignature = 0x04034b50
	localLen       = 30
	// An extension that every writer uses by now.
	descriptorSignature = 0x08074b50
	centralSignature    = 0x02014b50
	centralLen          = 46
	endSignature        = 0x06054b50
	endLen              = 22
	end64Signature      = 0x06064b50
	end64Len            = 56
	locator64Signature  = 0x07064b50
	locator64Len        = 20
)

const (
	max16 = math.MaxUint16 // the true value is elsewhere
	max32 = math.MaxUint32 // likewise

	methodStored   = 0
	methodDeflated = 8

	flagEncrypted  = 1 << 0
	flagDescriptor = 1 << 3 // sizes and checksum follow the data
	flagPatched    = 1 << 5
	flagStrong     = 1 << 6
	flagMasked     = 1 << 13
	flagUTF8       = 1 << 11

	zip64Extra = 1
)

// zipComment begins the comment of the zips that [Release.WriteZip] makes.
const zipComment = "xeiaso.net/site release "

// openZip reads the directory of a zip. It is stricter than other readers: what
// two of them could understand in two ways is refused.
func openZip(ctx context.Context, r io.ReaderAt, size int64, limits Limits) (*Archive, error) {
	end, err := findZipEnd(r, size)
	if err != nil {
		return nil, err
	}
	if err := limits.checkCount(end.count); err != nil {
		return nil, err
	}
	d := &zipDirectory{r: r, end: end, meter: meter{limits: limits}}
	if err := d.read(ctx); err != nil {
		return nil, err
	}
	if err := d.checkExtents(); err != nil {
		return nil, err
	}
	var members []member
	var dirs []string
	for _, e := range d.entries {
		if dir, ok := strings.CutSuffix(e.name, "/"); ok {
			dirs = append(dirs, dir)
		} else {
			members = append(members, e.member)
		}
	}
	return newArchive(r, "zip", members, dirs, strings.HasPrefix(end.comment, zipComment))
}

// OpenZip opens a zip of size bytes as a release that is served from it, see
// [Archive.Release]. The zip must stay open and unchanged as long as the
// release is used. An error has [ErrArchive] or [ErrTooLarge] in its tree if
// the zip is at fault, and names the member.
func OpenZip(ctx context.Context, r io.ReaderAt, size int64, limits Limits) (*Release, *Report, error) {
	limits = limits.WithDefaults()
	err := limits.checkArchive(size)
	var a *Archive
	if err == nil {
		a, err = openZip(ctx, r, size, limits)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("release: %w", err)
	}
	return a.Release(ctx)
}

func badZip(format string, args ...any) error {
	return fmt.Errorf("%w: %s: was the zip cut off, or is it none?", ErrArchive, fmt.Sprintf(format, args...))
}

// readAt reads what the zip says is there.
func readAt(r io.ReaderAt, b []byte, off int64) error {
	if n, err := r.ReadAt(b, off); n < len(b) {
		if err == io.EOF {
			return badZip("it ends at byte %d", off+int64(n))
		}
		return fmt.Errorf("read archive: %w", err)
	}
	return nil
}

// zipEnd says where the directory of a zip is.
type zipEnd struct {
	count        uint64
	offset, size int64 // of the directory
	at           int64 // where it ends
	comment      string
}

// findZipEnd finds the record at the end of a zip, which has to lie exactly
// behind the directory and before the end of the file.
func findZipEnd(r io.ReaderAt, size int64) (zipEnd, error) {
	tail := make([]byte, min(size, endLen+max16))
	if err := readAt(r, tail, size-int64(len(tail))); err != nil {
		return zipEnd{}, err
	}
	i := bytes.LastIndex(tail, le.AppendUint32(nil, endSignature))
	if i < 0 || len(tail)-i < endLen {
		return zipEnd{}, badZip("it has no directory")
	}
	b := tail[i:]
	if len(b) != endLen+int(le.Uint16(b[20:])) {
		return zipEnd{}, badZip("its comment has another length than it says")
	}
	end := zipEnd{at: size - int64(len(b)), comment: string(b[endLen:])}
	count, dirSize, offset := uint64(le.Uint16(b[10:])), uint64(le.Uint32(b[12:])), uint64(le.Uint32(b[16:]))
	if le.Uint32(b[4:]) != 0 || le.Uint16(b[8:]) != le.Uint16(b[10:]) {
		return zipEnd{}, fmt.Errorf("%w: it is one of several parts: join them first", ErrArchive)
	}
	count, dirSize, offset, err := end.read64(r, count, dirSize, offset)
	if err != nil {
		return zipEnd{}, err
	}
	if offset > math.MaxInt64/2 || dirSize > math.MaxInt64/2 || int64(offset+dirSize) != end.at {
		return zipEnd{}, badZip("its directory does not end where the end is")
	}
	end.count, end.offset, end.size = count, int64(offset), int64(dirSize)
	return end, nil
}

// read64 returns the true values of the fields that were too small for them,
// and moves e.at before the records that have them.
func (e *zipEnd) read64(r io.ReaderAt, count, size, offset uint64) (count64, size64, offset64 uint64, err error) {
	var locator [locator64Len]byte
	if e.at < locator64Len {
		return count, size, offset, nil
	}
	if err := readAt(r, locator[:], e.at-locator64Len); err != nil {
		return 0, 0, 0, err
	}
	if le.Uint32(locator[:]) != locator64Signature {
		return count, size, offset, nil
	}
	at := int64(min(le.Uint64(locator[8:]), math.MaxInt64/2))
	var b [end64Len]byte
	if at > e.at-locator64Len-end64Len {
		return 0, 0, 0, badZip("its 64-bit end is not where it says")
	}
	if err := readAt(r, b[:], at); err != nil {
		return 0, 0, 0, err
	}
	length := le.Uint64(b[4:])
	if le.Uint32(b[:]) != end64Signature || length != uint64(e.at-locator64Len-at-12) {
		return 0, 0, 0, badZip("its 64-bit end is not where it says")
	}
	e.at = at
	count64, size64, offset64 = le.Uint64(b[32:]), le.Uint64(b[40:]), le.Uint64(b[48:])
	if le.Uint32(b[16:]) != 0 || le.Uint32(b[20:]) != 0 || le.Uint64(b[24:]) != count64 {
		return 0, 0, 0, fmt.Errorf("%w: it is one of several parts: join them first", ErrArchive)
	}
	for _, f := range []struct{ short, long, full uint64 }{{count, count64, max16}, {size, size64, max32}, {offset, offset64, max32}} {
		if f.short != f.full && f.short != f.long {
			return 0, 0, 0, badZip("it has two directories")
		}
	}
	return count64, size64, offset64, nil
}

// zipEntry is one entry of the directory.
type zipEntry struct {
	member
	header int64 // of the local header in the archive
	flags  uint16
}

// zipDirectory reads the directory of a zip.
type zipDirectory struct {
	r       io.ReaderAt
	end     zipEnd
	meter   meter
	entries []zipEntry
}

func (d *zipDirectory) read(ctx context.Context) error {
	src := bufio.NewReader(io.NewSectionReader(d.r, d.end.offset, d.end.size))
	for n := uint64(0); n < d.end.count; n++ {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		e, err := readZipEntry(src)
		if err != nil {
			return err
		}
		if err := cmp.Or(d.meter.add(e.name, e.size), d.locate(&e)); err != nil {
			return err
		}
		d.entries = append(d.entries, e)
	}
	if _, err := src.ReadByte(); err != io.EOF {
		return badZip("its directory has more than the %d entries that it counts", d.end.count)
	}
	return nil
}

// readZipEntry reads one entry and refuses what a site has no use for.
func readZipEntry(src *bufio.Reader) (e zipEntry, err error) {
	var b [centralLen]byte
	if _, err := io.ReadFull(src, b[:]); err != nil || le.Uint32(b[:]) != centralSignature {
		return e, badZip("its directory has fewer entries than it counts")
	}
	variable := make([]byte, int(le.Uint16(b[28:]))+int(le.Uint16(b[30:])))
	if _, err := io.ReadFull(src, variable); err != nil {
		return e, badZip("its directory is broken")
	}
	if _, err := src.Discard(int(le.Uint16(b[32:]))); err != nil { // the comment
		return e, badZip("its directory is broken")
	}
	name, extra := variable[:le.Uint16(b[28:])], variable[le.Uint16(b[28:]):]
	e.name = strings.TrimPrefix(string(name), "./")
	e.flags, e.crc, e.summed = le.Uint16(b[8:]), le.Uint32(b[16:]), true
	packed, size, header := uint64(le.Uint32(b[20:])), uint64(le.Uint32(b[24:])), uint64(le.Uint32(b[42:]))
	if !readZip64(extra, &size, &packed, &header) || max(size, packed, header) > math.MaxInt64/4 {
		return e, refuse(e.name, "its 64-bit sizes are missing or impossible")
	}
	e.size, e.packed, e.header = int64(size), int64(packed), int64(header)
	if err := e.checkKind(le.Uint16(b[10:]), le.Uint32(b[38:])); err != nil {
		return e, err
	}
	return e, checkMemberName(strings.TrimSuffix(e.name, "/"))
}

// readZip64 replaces the values that did not fit by those of the extra field,
// which has them in this order. It reports false if one is missing.
func readZip64(extra []byte, values ...*uint64) bool {
	var field []byte
	for len(extra) >= 4 {
		id, size := le.Uint16(extra), int(le.Uint16(extra[2:]))
		if size > len(extra)-4 {
			break // padding of some tools; not ours to judge
		}
		if id == zip64Extra {
			field = extra[4 : 4+size]
			break
		}
		extra = extra[4+size:]
	}
	for _, v := range values {
		if *v != max32 {
			continue
		}
		if len(field) < 8 {
			return field == nil // without the field it is the value
		}
		*v, field = le.Uint64(field), field[8:]
	}
	return true
}

// checkKind refuses what is no plain file or directory.
func (e *zipEntry) checkKind(method uint16, attributes uint32) error {
	isDir := strings.HasSuffix(e.name, "/")
	kind := attributes >> 16 & 0o170000 // of stat(2), from whatever system
	switch {
	case e.flags&(flagEncrypted|flagStrong|flagMasked) != 0:
		return refuse(e.name, "it is encrypted: what a site serves is for everybody")
	case e.flags&flagPatched != 0:
		return refuse(e.name, "it is a patch and no file")
	case kind == 0o120000:
		return refuse(e.name, "it is a symbolic link: archive what it leads to (zip does by default, without -y)")
	case kind != 0 && kind != 0o100000 && kind != 0o040000, kind == 0o040000 && !isDir:
		return refuse(e.name, "it is neither a file nor a directory (mode %o)", attributes>>16)
	case method != methodStored && method != methodDeflated:
		return refuse(e.name, "its compression method is %d: make the zip with deflate, which every tool has", method)
	case method == methodStored && e.packed != e.size:
		return refuse(e.name, "it is stored in %d bytes and has %d", e.packed, e.size)
	case isDir && e.size != 0:
		return refuse(e.name, "it is a directory with %d bytes of content", e.size)
	}
	e.deflated = method == methodDeflated
	return nil
}

// locate finds the data of an entry behind its local header, which must agree:
// readers differ in which of the two they believe.
func (d *zipDirectory) locate(e *zipEntry) error {
	if e.header > d.end.offset-localLen {
		return refuse(e.name, "its header would lie behind the data")
	}
	// The name is that of the directory, so it has the same length.
	var b [localLen]byte
	if err := readAt(d.r, b[:], e.header); err != nil {
		return err
	}
	if le.Uint32(b[:]) != localSignature {
		return refuse(e.name, "its header is not where the directory says")
	}
	variable := make([]byte, int(le.Uint16(b[26:]))+int(le.Uint16(b[28:])))
	e.offset = e.header + localLen + int64(len(variable))
	if e.offset+e.packed > d.end.offset {
		return refuse(e.name, "its data would reach into the directory")
	}
	if err := readAt(d.r, variable, e.header+localLen); err != nil {
		return err
	}
	name, extra := variable[:le.Uint16(b[26:])], variable[le.Uint16(b[26:]):]
	if strings.TrimPrefix(string(name), "./") != e.name {
		return refuse(e.name, "its header calls it %q", name)
	}
	method := uint16(methodStored)
	if e.deflated {
		method = methodDeflated
	}
	const same = flagEncrypted | flagDescriptor | flagStrong | flagMasked
	if le.Uint16(b[8:]) != method || le.Uint16(b[6:])&same != e.flags&same {
		return refuse(e.name, "its header and the directory disagree about how it is packed")
	}
	return e.compareSizes(b[:], extra)
}

// checkDescriptor compares the checksum behind the data, where there is one,
// with that of the directory. Its signature is optional.
func (d *zipDirectory) checkDescriptor(e *zipEntry) error {
	if e.flags&flagDescriptor == 0 || strings.HasSuffix(e.name, "/") {
		return nil
	}
	var b [8]byte // the directory follows, so there are more
	if err := readAt(d.r, b[:], e.offset+e.packed); err != nil {
		return err
	}
	crc := le.Uint32(b[:])
	if crc == descriptorSignature {
		crc = le.Uint32(b[4:])
	}
	if crc != e.crc {
		return refuse(e.name, "what follows its data and the directory disagree about its checksum")
	}
	return nil
}

// compareSizes compares what the local header says of the data. Where that is
// said behind the data, the header may leave it out.
func (e *zipEntry) compareSizes(b, extra []byte) error {
	packed, size := uint64(le.Uint32(b[18:])), uint64(le.Uint32(b[22:]))
	if !readZip64(extra, &size, &packed) {
		return refuse(e.name, "its 64-bit sizes are missing or impossible")
	}
	later := e.flags&flagDescriptor != 0
	for _, v := range []struct{ local, central uint64 }{
		{uint64(le.Uint32(b[14:])), uint64(e.crc)},
		{packed, uint64(e.packed)},
		{size, uint64(e.size)},
	} {
		if v.local != v.central && !(later && (v.local == 0 || v.local == max32)) {
			return refuse(e.name, "its header and the directory disagree about its size or checksum")
		}
	}
	return nil
}

// checkExtents refuses members that share bytes: one that lies in another has
// made zips of a few kilobytes unpack to terabytes.
func (d *zipDirectory) checkExtents() error {
	slices.SortStableFunc(d.entries, func(a, b zipEntry) int { return cmp.Compare(a.header, b.header) })
	for i := range d.entries[:max(0, len(d.entries)-1)] {
		e, next := &d.entries[i], &d.entries[i+1]
		if e.offset+e.packed > next.header {
			return refuse(next.name, "its data overlaps with that of %q", e.name)
		}
	}
	for i := range d.entries {
		if err := d.checkDescriptor(&d.entries[i]); err != nil {
			return err
		}
	}
	return nil
}
