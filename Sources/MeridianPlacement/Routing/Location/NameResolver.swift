import MeridianCore

/// An answer that somebody keeps, and until when.
package struct CachedAnswer: Hashable, Sendable {
    package let region: Region
    /// The last instant is the one before.
    package let expiry: Instant

    package init(_ answer: LocationRouter.Answer, at now: Instant, beyondNanoseconds overstay: Int64 = 0) {
        precondition(overstay >= 0, "an overstay of \(overstay) ns")
        region = answer.region
        expiry = now.advanced(byNanoseconds: answer.timeToLiveNanoseconds).advanced(byNanoseconds: overstay)
    }
}

/// A recursive resolver: stands somewhere, asks for many clients, and keeps what it heard for as long as it may live.
///
/// An answer from the cache comes with the time that it has left (RFC 1035 §3.2.1), so a client never keeps it longer
/// than the name server allowed, unless it means to. One that sends client subnets keeps an answer for each.
package struct NameResolver: Sendable {
    /// Where a client's questions come from.
    package enum Kind: String, Hashable, Sendable, CaseIterable {
        /// The access provider's, near the client.
        case local
        /// A public one, at its point of presence nearest to the client, or at one farther away.
        case open
        /// A company's or a VPN's, at its headquarters, wherever its people are.
        case corporate
    }

    /// A client's network, as far as the resolver tells it on: /24 in practice (RFC 7871 §11.1).
    package typealias Subnet = Int

    package let kind: Kind
    package let coordinates: Coordinates
    package let sendsClientSubnet: Bool
    private var answers: [Subnet?: CachedAnswer] = [:]

    package init(kind: Kind, coordinates: Coordinates, sendsClientSubnet: Bool) {
        self.kind = kind
        self.coordinates = coordinates
        self.sendsClientSubnet = sendsClientSubnet
    }

    /// What the resolver answers a client, and for how long the client may keep it.
    package mutating func resolve(
        for subnet: Subnet, at place: Coordinates, with router: LocationRouter, now: Instant
    ) -> LocationRouter.Answer {
        let key = sendsClientSubnet ? subnet : nil
        if let known = answers[key], now < known.expiry {
            return LocationRouter.Answer(
                region: known.region, timeToLiveNanoseconds: known.expiry.nanoseconds(since: now),
                isForSubnet: sendsClientSubnet)
        }
        let answer = router.answer(
            LocationRouter.Question(resolver: coordinates, clientSubnet: sendsClientSubnet ? place : nil))
        answers[key] = CachedAnswer(answer, at: now)
        return answer
    }
}
