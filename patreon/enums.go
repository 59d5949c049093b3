// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package patreon

import "slices"

// PatronStatus is where a member stands. It is null for those who never pledged.
type PatronStatus string

// The statuses that are known.
const (
	ActivePatron   PatronStatus = "active_patron"
	DeclinedPatron PatronStatus = "declined_patron"
	FormerPatron   PatronStatus = "former_patron"
)

// Known reports whether the status is one of those above. Patreon may add others
// at any time.
func (s PatronStatus) Known() bool {
	return s == ActivePatron || s == DeclinedPatron || s == FormerPatron
}

// ChargeStatus is what became of a charge. Only [ChargePaid] is a success.
type ChargeStatus string

// The statuses that are known.
const (
	ChargePaid              ChargeStatus = "Paid"
	ChargeDeclined          ChargeStatus = "Declined"
	ChargeDeleted           ChargeStatus = "Deleted"
	ChargePending           ChargeStatus = "Pending"
	ChargeRefunded          ChargeStatus = "Refunded"
	ChargeRefundedByPatreon ChargeStatus = "Refunded by Patreon"
	ChargePartiallyRefunded ChargeStatus = "Partially Refunded"
	ChargeFraud             ChargeStatus = "Fraud"
	ChargeFreeTrial         ChargeStatus = "Free Trial"
	ChargeOther             ChargeStatus = "Other"
)

// Known reports whether the status is one of those above. Patreon may add others
// at any time.
func (s ChargeStatus) Known() bool {
	switch s {
	case ChargePaid, ChargeDeclined, ChargeDeleted, ChargePending, ChargeRefunded, ChargeRefundedByPatreon,
		ChargePartiallyRefunded, ChargeFraud, ChargeFreeTrial, ChargeOther:
		return true
	}
	return false
}

// PledgeStatus is what became of the payment of a pledge.
type PledgeStatus string

// The statuses that are known.
const (
	PledgeQueued   PledgeStatus = "queued"
	PledgePending  PledgeStatus = "pending"
	PledgeValid    PledgeStatus = "valid"
	PledgeDeclined PledgeStatus = "declined"
	PledgeFraud    PledgeStatus = "fraud"
	PledgeDisabled PledgeStatus = "disabled"
)

// Known reports whether the status is one of those above. Patreon may add others
// at any time.
func (s PledgeStatus) Known() bool {
	switch s {
	case PledgeQueued, PledgePending, PledgeValid, PledgeDeclined, PledgeFraud, PledgeDisabled:
		return true
	}
	return false
}

// PledgeEventType is what a [PledgeEvent] tells of.
type PledgeEventType string

// The types that are known.
const (
	PledgeStart     PledgeEventType = "pledge_start"
	PledgeUpgrade   PledgeEventType = "pledge_upgrade"
	PledgeDowngrade PledgeEventType = "pledge_downgrade"
	PledgeDelete    PledgeEventType = "pledge_delete"
	Subscription    PledgeEventType = "subscription"
)

// Known reports whether the type is one of those above. Patreon may add others
// at any time.
func (t PledgeEventType) Known() bool {
	switch t {
	case PledgeStart, PledgeUpgrade, PledgeDowngrade, PledgeDelete, Subscription:
		return true
	}
	return false
}

// DeliveryStatus is where a [Deliverable] stands.
type DeliveryStatus string

// The statuses that are known.
const (
	Delivered    DeliveryStatus = "delivered"
	NotDelivered DeliveryStatus = "not_delivered"
	WontDeliver  DeliveryStatus = "wont_deliver"
)

// Known reports whether the status is one of those above. Patreon may add others
// at any time.
func (s DeliveryStatus) Known() bool {
	return s == Delivered || s == NotDelivered || s == WontDeliver
}

// Trigger is an event that a webhook is called for. It is also the value of the
// header field X-Patreon-Event.
type Trigger string

// The triggers that are known.
const (
	MembersCreate       Trigger = "members:create"
	MembersUpdate       Trigger = "members:update"
	MembersDelete       Trigger = "members:delete"
	MembersPledgeCreate Trigger = "members:pledge:create"
	MembersPledgeUpdate Trigger = "members:pledge:update"
	MembersPledgeDelete Trigger = "members:pledge:delete"
	PostsPublish        Trigger = "posts:publish"
	PostsUpdate         Trigger = "posts:update"
	PostsDelete         Trigger = "posts:delete"
)

// Triggers returns all triggers that are known.
func Triggers() []Trigger {
	return []Trigger{
		MembersCreate, MembersUpdate, MembersDelete,
		MembersPledgeCreate, MembersPledgeUpdate, MembersPledgeDelete,
		PostsPublish, PostsUpdate, PostsDelete,
	}
}

// Known reports whether the trigger is one of those above. Patreon may add
// others at any time.
func (t Trigger) Known() bool {
	return slices.Contains(Triggers(), t)
}
