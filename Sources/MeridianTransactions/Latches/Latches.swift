import MeridianCore

/// Who may touch which keys of one range while a request is evaluated and replicated.
///
/// A leaseholder evaluates a commit against applied rows, yet several commits are on their way at once. Latches make
/// that sound: a request that touches what an earlier one still touches waits for it, in the order of arrival, so
/// nobody is overtaken and two requests can never wait for each other. They live for one request, never outlive the
/// leadership, and no client holds one.
///
/// - A commit latches the keys that it writes exclusively, until its rows are applied *and* its timestamp is past
///   everywhere. So a reader never sees a timestamp that somebody's clock still calls future (Spanner §4.1.2).
/// - What a commit only checks, and what a read reads, is latched shared, until it has been evaluated.
/// - A transaction of several ranges that is prepared keeps both until it is resolved: they are its locks. The next
///   leaseholder takes them over from the log, and across ranges two transactions can wait for each other
///   (`Replica+Prepare.swift`).
///
/// The usual request finds every key free: one dictionary insertion a key. Spans are rare and few, so they lie in a
/// plain list.
package struct Latches: Sendable {
    package enum Mode: Hashable, Sendable {
        case shared
        case exclusive
    }

    /// Names a request. Tickets increase with arrival.
    package struct Ticket: RawRepresentable, Hashable, Comparable, Sendable {
        package let rawValue: UInt64
        package init(rawValue: UInt64) { self.rawValue = rawValue }
        package static func < (lhs: Ticket, rhs: Ticket) -> Bool { lhs.rawValue < rhs.rawValue }
    }

    private struct Claim: Sendable {
        var ticket: Ticket
        var mode: Mode
    }

    private struct SpanClaim: Sendable {
        var ticket: Ticket
        var mode: Mode
        var span: KeySpan
    }

    private struct Request: Sendable {
        var keys: [Key]
        var hasSpans: Bool
        /// How many earlier requests it still waits for.
        var waitsFor: Int
        /// For whom it waited when it came.
        var predecessors: [Ticket] = []
        /// Later requests that wait for this one.
        var successors: [Ticket] = []
    }

    /// Who claims a key, in the order of arrival. A key without claims is absent.
    private var claims: [Key: [Claim]] = [:]
    private var spanClaims: [SpanClaim] = []
    private var requests: [Ticket: Request] = [:]
    private var nextTicket: UInt64 = 1

    package init() {}

    package var isEmpty: Bool { requests.isEmpty }

    /// Claims keys and spans. A key that is both written and read may be named in both lists.
    /// - Returns: the request's ticket, and whether it may go on at once. If not, `release` will name it.
    package mutating func acquire(
        exclusive: some Sequence<Key>, shared: some Sequence<Key> = EmptyCollection(), spans: [KeySpan] = []
    ) -> (ticket: Ticket, isGranted: Bool) {
        let ticket = Ticket(rawValue: nextTicket)
        nextTicket += 1
        var request = Request(keys: [], hasSpans: !spans.isEmpty, waitsFor: 0)
        var predecessors: [Ticket] = []
        for key in exclusive {
            claim(key, .exclusive, ticket, &request, &predecessors)
        }
        for key in shared {
            claim(key, .shared, ticket, &request, &predecessors)
        }
        for span in spans {
            claim(span, ticket, &predecessors)
        }
        if !predecessors.isEmpty {
            predecessors.sort()
            var last: Ticket?
            for predecessor in predecessors where predecessor != last {
                last = predecessor
                requests[predecessor]?.successors.append(ticket)
                request.predecessors.append(predecessor)
                request.waitsFor += 1
            }
        }
        let isGranted = request.waitsFor == 0
        requests[ticket] = request
        return (ticket, isGranted)
    }

    /// Who has claimed what cannot be claimed together with these.
    package func conflicts(
        exclusive: some Sequence<Key>, shared: some Sequence<Key>, spans: [KeySpan]
    ) -> Set<Ticket> {
        var found: Set<Ticket> = []
        for key in exclusive {
            for claim in claims[key] ?? [] { found.insert(claim.ticket) }
            for claim in spanClaims where claim.span.contains(key) { found.insert(claim.ticket) }
        }
        for key in shared {
            for claim in claims[key] ?? [] where claim.mode == .exclusive { found.insert(claim.ticket) }
        }
        for span in spans {
            for (key, queue) in claims where span.contains(key) {
                for claim in queue where claim.mode == .exclusive { found.insert(claim.ticket) }
            }
        }
        return found
    }

    /// These requests, and all that they wait for.
    package func withPredecessors(_ tickets: Set<Ticket>) -> Set<Ticket> {
        var found = tickets
        var open = Array(tickets)
        while let ticket = open.popLast() {
            guard let request = requests[ticket], request.waitsFor > 0 else { continue }
            for predecessor in request.predecessors where found.insert(predecessor).inserted {
                open.append(predecessor)
            }
        }
        return found
    }

    /// The earlier requests that a request had to wait for when it came, in the order of their arrival.
    package func predecessors(of ticket: Ticket) -> [Ticket] { requests[ticket]?.predecessors ?? [] }

    /// Gives up all claims of a request, granted or not.
    /// - Returns: the requests that may go on now, in the order of their arrival.
    package mutating func release(_ ticket: Ticket) -> [Ticket] {
        guard let request = requests.removeValue(forKey: ticket) else {
            preconditionFailure("latch ticket \(ticket.rawValue) released twice")
        }
        for key in request.keys { dropClaim(on: key, of: ticket) }
        if request.hasSpans { spanClaims.removeAll { $0.ticket == ticket } }
        return unblock(request.successors)
    }

    /// Gives up what a request claimed shared, keeping what it claimed exclusively: a commit has been evaluated.
    package mutating func releaseShared(_ ticket: Ticket) -> [Ticket] {
        guard var request = requests[ticket] else {
            preconditionFailure("latch ticket \(ticket.rawValue) is not held")
        }
        precondition(request.waitsFor == 0, "latch ticket \(ticket.rawValue) was never granted")
        var exclusive: [Key] = []
        var gaveUp = request.hasSpans
        for key in request.keys {
            if claims[key]?.first(where: { $0.ticket == ticket })?.mode == .exclusive {
                exclusive.append(key)
            } else {
                dropClaim(on: key, of: ticket)
                gaveUp = true
            }
        }
        guard gaveUp else { return [] }
        if request.hasSpans { spanClaims.removeAll { $0.ticket == ticket } }
        // A successor may wait for a key that is kept, so each is asked again.
        let successors = request.successors
        request.keys = exclusive
        request.hasSpans = false
        request.successors = []
        var freed: [Ticket] = []
        for successor in successors {
            if isBlocked(successor, by: exclusive) {
                request.successors.append(successor)
            } else {
                freed.append(successor)
            }
        }
        requests[ticket] = request
        return unblock(freed)
    }

    private mutating func unblock(_ successors: [Ticket]) -> [Ticket] {
        var granted: [Ticket] = []
        for successor in successors {
            guard let waits = requests[successor]?.waitsFor else { continue }
            precondition(waits > 0, "latch ticket \(successor.rawValue) waited for nothing")
            requests[successor]?.waitsFor = waits - 1
            if waits == 1 { granted.append(successor) }
        }
        return granted
    }

    private mutating func claim(
        _ key: Key, _ mode: Mode, _ ticket: Ticket, _ request: inout Request, _ predecessors: inout [Ticket]
    ) {
        var queue = claims[key] ?? []
        if let own = queue.lastIndex(where: { $0.ticket == ticket }) {
            if mode == .exclusive { queue[own].mode = .exclusive }
        } else {
            for other in queue where mode == .exclusive || other.mode == .exclusive {
                predecessors.append(other.ticket)
            }
            queue.append(Claim(ticket: ticket, mode: mode))
            request.keys.append(key)
        }
        claims[key] = queue
        for other in spanClaims where other.ticket != ticket {
            guard mode == .exclusive || other.mode == .exclusive else { continue }
            if other.span.contains(key) { predecessors.append(other.ticket) }
        }
    }

    /// Spans are claimed shared only: nobody writes a whole span.
    private mutating func claim(_ span: KeySpan, _ ticket: Ticket, _ predecessors: inout [Ticket]) {
        for (key, queue) in claims where span.contains(key) {
            for other in queue where other.mode == .exclusive && other.ticket != ticket {
                predecessors.append(other.ticket)
            }
        }
        spanClaims.append(SpanClaim(ticket: ticket, mode: .shared, span: span))
    }

    private mutating func dropClaim(on key: Key, of ticket: Ticket) {
        guard var queue = claims[key] else { return }
        if queue.count == 1, queue[0].ticket == ticket {
            claims[key] = nil
            return
        }
        queue.removeAll { $0.ticket == ticket }
        claims[key] = queue.isEmpty ? nil : queue
    }

    /// Whether a waiting request has a claim that conflicts with an exclusive claim on one of `keys`.
    private func isBlocked(_ ticket: Ticket, by keys: [Key]) -> Bool {
        guard let request = requests[ticket] else { return false }
        for key in keys {
            if request.keys.contains(key) { return true }
            if request.hasSpans,
                spanClaims.contains(where: { $0.ticket == ticket && $0.span.contains(key) })
            {
                return true
            }
        }
        return false
    }
}
