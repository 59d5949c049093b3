// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package patreon

import (
	"encoding/json"
	"time"
)

// Media is a file, mostly a picture.
type Media struct {
	// ID is the id.
	ID MediaID `json:"id"`

	CreatedAt Opt[time.Time] `json:"created_at,omitzero"`
	// DownloadURL is valid for a day.
	DownloadURL Opt[string] `json:"download_url,omitzero"`
	FileName    Opt[string] `json:"file_name,omitzero"`
	// ImageURLs is an object of addresses by size, valid for two weeks.
	ImageURLs Opt[json.RawMessage] `json:"image_urls,omitzero"`
	// Metadata is an object.
	Metadata          Opt[json.RawMessage] `json:"metadata,omitzero"`
	MIMEType          Opt[string]          `json:"mimetype,omitzero"`
	OwnerID           Opt[string]          `json:"owner_id,omitzero"`
	OwnerRelationship Opt[string]          `json:"owner_relationship,omitzero"`
	OwnerType         Opt[string]          `json:"owner_type,omitzero"`
	SizeBytes         Opt[int64]           `json:"size_bytes,omitzero"`
	State             Opt[string]          `json:"state,omitzero"`
	UploadExpiresAt   Opt[time.Time]       `json:"upload_expires_at,omitzero"`
	// UploadParameters is an object.
	UploadParameters Opt[json.RawMessage] `json:"upload_parameters,omitzero"`
	UploadURL        Opt[string]          `json:"upload_url,omitzero"`

	Extras
}

func (m *Media) name() Type { return TypeMedia }

func (m *Media) setID(id string) { m.ID = MediaID(id) }

func (m *Media) extras() *Extras { return &m.Extras }

func (m *Media) attribute(name []byte) attribute {
	switch string(name) {
	case "created_at":
		return &m.CreatedAt
	case "download_url":
		return &m.DownloadURL
	case "file_name":
		return &m.FileName
	case "image_urls":
		return &m.ImageURLs
	case "metadata":
		return &m.Metadata
	case "mimetype":
		return &m.MIMEType
	case "owner_id":
		return &m.OwnerID
	case "owner_relationship":
		return &m.OwnerRelationship
	case "owner_type":
		return &m.OwnerType
	case "size_bytes":
		return &m.SizeBytes
	case "state":
		return &m.State
	case "upload_expires_at":
		return &m.UploadExpiresAt
	case "upload_parameters":
		return &m.UploadParameters
	case "upload_url":
		return &m.UploadURL
	}
	return nil
}

func (*Media) relation([]byte) relation { return nil }

// MediaFields returns the names of all attributes of a [Media] but those of an
// upload that is under way.
func MediaFields() []string {
	return []string{
		"created_at", "download_url", "file_name", "image_urls", "metadata", "mimetype", "owner_id",
		"owner_relationship", "owner_type", "size_bytes", "state",
	}
}
