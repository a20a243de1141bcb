import MeridianCore
import Testing

@testable import MeridianTransactions

@Suite struct LatchesTests {
    private func key(_ number: Int) -> Key { Key([UInt8(number)]) }
    private func span(_ lower: Int, _ upper: Int) -> KeySpan { KeySpan(lower: key(lower), upper: key(upper)) }

    @Test func exclusiveClaimsOnOneKeyGoOnInTheOrderOfArrival() {
        var latches = Latches()
        let tickets = (0..<5).map { _ in latches.acquire(exclusive: [key(1)]) }
        #expect(tickets.map(\.isGranted) == [true, false, false, false, false])
        for (ticket, next) in zip(tickets, tickets.dropFirst()) {
            #expect(latches.release(ticket.ticket) == [next.ticket])
        }
        #expect(latches.release(tickets[4].ticket).isEmpty)
        #expect(latches.isEmpty)
    }

    @Test func sharedClaimsGoOnTogether() {
        var latches = Latches()
        let writer = latches.acquire(exclusive: [key(1)])
        let readers = (0..<3).map { _ in latches.acquire(exclusive: [], shared: [key(1)]) }
        #expect(readers.allSatisfy { !$0.isGranted })
        #expect(latches.release(writer.ticket) == readers.map(\.ticket))
    }

    @Test func nobodyIsOvertaken() {
        var latches = Latches()
        let reader = latches.acquire(exclusive: [], shared: [key(1)])
        let writer = latches.acquire(exclusive: [key(1)])
        let late = latches.acquire(exclusive: [], shared: [key(1)])
        #expect(reader.isGranted && !writer.isGranted && !late.isGranted, "a late reader waits behind the writer")
        #expect(latches.release(reader.ticket) == [writer.ticket])
        #expect(latches.release(writer.ticket) == [late.ticket])
    }

    @Test func aSpanConflictsWithTheExclusiveKeysInIt() {
        var latches = Latches()
        let scan = latches.acquire(exclusive: [], spans: [span(2, 5)])
        #expect(scan.isGranted)
        #expect(latches.acquire(exclusive: [key(5)]).isGranted, "the upper bound lies outside")
        let inside = latches.acquire(exclusive: [key(4)])
        #expect(!inside.isGranted)
        #expect(latches.acquire(exclusive: [], shared: [key(3)]).isGranted)
        #expect(!latches.acquire(exclusive: [], spans: [span(4, 9)]).isGranted, "a later scan waits for the writer")
        #expect(latches.release(scan.ticket) == [inside.ticket])
    }

    @Test func aKeyMayBeWrittenAndReadByOneRequest() {
        var latches = Latches()
        let both = latches.acquire(exclusive: [key(1)], shared: [key(1)], spans: [span(0, 9)])
        #expect(both.isGranted)
        #expect(!latches.acquire(exclusive: [], shared: [key(1)]).isGranted)
    }

    @Test func releasingSharedKeepsWhoConflictsWithWhatIsKept() {
        var latches = Latches()
        let commit = latches.acquire(exclusive: [key(1)], shared: [key(2)], spans: [span(5, 9)])
        let onKept = latches.acquire(exclusive: [], shared: [key(1)])
        let onShared = latches.acquire(exclusive: [key(2)])
        let onSpan = latches.acquire(exclusive: [key(6)])
        let onBoth = latches.acquire(exclusive: [key(1), key(7)])
        let scan = latches.acquire(exclusive: [], spans: [span(0, 2)])
        #expect(latches.releaseShared(commit.ticket) == [onShared.ticket, onSpan.ticket])
        #expect(latches.releaseShared(commit.ticket).isEmpty, "there is nothing left to give up")
        #expect(latches.release(commit.ticket) == [onKept.ticket])
        #expect(latches.release(onKept.ticket) == [onBoth.ticket])
        #expect(latches.release(onBoth.ticket) == [scan.ticket])
    }

    @Test func aWaitingRequestMayGiveUp() {
        var latches = Latches()
        let first = latches.acquire(exclusive: [key(1)])
        let second = latches.acquire(exclusive: [key(1)])
        let third = latches.acquire(exclusive: [key(1)])
        #expect(latches.release(second.ticket).isEmpty)
        #expect(latches.release(first.ticket) == [third.ticket])
    }

    @Test func predecessorsAreThoseWhomARequestWaitsForInTheOrderOfArrival() {
        var latches = Latches()
        let scan = latches.acquire(exclusive: [], spans: [span(5, 9)])
        let writer = latches.acquire(exclusive: [key(1), key(2)])
        _ = latches.acquire(exclusive: [key(4)])
        let late = latches.acquire(exclusive: [key(6), key(2)], shared: [key(1)])
        #expect(latches.predecessors(of: scan.ticket).isEmpty)
        #expect(latches.predecessors(of: late.ticket) == [scan.ticket, writer.ticket], "each once")
    }

    @Test func predecessorsIncludeThoseThatWaitThemselves() {
        var latches = Latches()
        let first = latches.acquire(exclusive: [key(1)])
        let second = latches.acquire(exclusive: [key(1)])
        let third = latches.acquire(exclusive: [key(1)])
        #expect(latches.predecessors(of: third.ticket) == [first.ticket, second.ticket])
    }

    @Test func aReleasedRequestHasNoPredecessors() {
        var latches = Latches()
        _ = latches.acquire(exclusive: [key(1)])
        let second = latches.acquire(exclusive: [key(1)])
        _ = latches.release(second.ticket)
        #expect(latches.predecessors(of: second.ticket).isEmpty)
    }

    private func conflicts(
        _ latches: Latches, exclusive: [Int] = [], shared: [Int] = [], spans: [KeySpan] = []
    ) -> Set<Latches.Ticket> {
        latches.conflicts(exclusive: exclusive.map { key($0) }, shared: shared.map { key($0) }, spans: spans)
    }

    @Test func whatIsClaimedSharedConflictsWithWriters() {
        var latches = Latches()
        let reader = latches.acquire(exclusive: [], shared: [key(1)])
        #expect(conflicts(latches, exclusive: [1]) == [reader.ticket])
        #expect(conflicts(latches, shared: [1], spans: [span(0, 9)]).isEmpty)
    }

    @Test func whatIsClaimedExclusivelyConflictsWithEverybody() {
        var latches = Latches()
        let writer = latches.acquire(exclusive: [key(1)])
        let waiting = latches.acquire(exclusive: [key(1)])
        #expect(conflicts(latches, exclusive: [1]) == [writer.ticket, waiting.ticket], "granted or not")
        #expect(conflicts(latches, shared: [1]) == [writer.ticket, waiting.ticket])
        #expect(conflicts(latches, spans: [span(0, 2)]) == [writer.ticket, waiting.ticket])
        #expect(conflicts(latches, exclusive: [2], shared: [0], spans: [span(2, 9)]).isEmpty)
    }

    @Test func aClaimedSpanConflictsWithWhatIsWrittenIntoIt() {
        var latches = Latches()
        let scan = latches.acquire(exclusive: [], spans: [span(2, 5)])
        #expect(conflicts(latches, exclusive: [4]) == [scan.ticket])
        #expect(conflicts(latches, exclusive: [5], shared: [3], spans: [span(2, 5)]).isEmpty)
    }

    @Test func askingForConflictsClaimsNothing() {
        let latches = Latches()
        #expect(conflicts(latches, exclusive: [1], spans: [span(0, 9)]).isEmpty)
        #expect(latches.isEmpty)
    }

    /// Who waits for whom, by the definition: a request goes on when no earlier one has a conflicting claim.
    private struct Model {
        struct Request {
            var ticket: Latches.Ticket
            var exclusive: Set<Key>
            var shared: Set<Key>
            var spans: [KeySpan]
            var isGranted = false
        }
        var requests: [Request] = []

        private func conflict(_ a: Request, _ b: Request) -> Bool {
            func touches(_ a: Request, _ b: Request) -> Bool {
                a.exclusive.contains { key in
                    b.exclusive.contains(key) || b.shared.contains(key) || b.spans.contains { $0.contains(key) }
                }
            }
            return touches(a, b) || touches(b, a)
        }

        mutating func settle() -> [Latches.Ticket] {
            var granted: [Latches.Ticket] = []
            for position in requests.indices where !requests[position].isGranted {
                let isFree = !requests[..<position].contains { conflict($0, requests[position]) }
                if isFree {
                    requests[position].isGranted = true
                    granted.append(requests[position].ticket)
                }
            }
            return granted
        }
    }

    @Test(arguments: UInt64(1)...20) func grantsWhatTheDefinitionGrants(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        var latches = Latches()
        var model = Model()
        func keys(_ limit: UInt64) -> [Key] { (0..<random.below(limit)).map { _ in key(Int(random.below(8))) } }
        for _ in 0..<300 {
            let granted = model.requests.indices.filter { model.requests[$0].isGranted }
            switch random.below(3) {
            case 0 where !granted.isEmpty:
                let position = granted[Int(random.below(UInt64(granted.count)))]
                let ticket = model.requests[position].ticket
                model.requests.remove(at: position)
                #expect(latches.release(ticket).sorted() == model.settle(), "seed \(seed)")
            case 1 where !granted.isEmpty:
                let position = granted[Int(random.below(UInt64(granted.count)))]
                model.requests[position].shared = []
                model.requests[position].spans = []
                let next = latches.releaseShared(model.requests[position].ticket)
                #expect(next.sorted() == model.settle(), "seed \(seed)")
            default:
                let (exclusive, shared) = (keys(3), keys(3))
                let lower = Int(random.below(8))
                let spans = random.below(4) == 0 ? [span(lower, lower + 1 + Int(random.below(4)))] : []
                let (ticket, isGranted) = latches.acquire(exclusive: exclusive, shared: shared, spans: spans)
                model.requests.append(
                    .init(ticket: ticket, exclusive: Set(exclusive), shared: Set(shared), spans: spans))
                #expect(model.settle() == (isGranted ? [ticket] : []), "seed \(seed)")
            }
        }
        // Nobody waits for ever: releasing what is granted ends everything.
        while let position = model.requests.firstIndex(where: { $0.isGranted }) {
            let ticket = model.requests.remove(at: position).ticket
            #expect(latches.release(ticket).sorted() == model.settle(), "seed \(seed)")
        }
        #expect(model.requests.isEmpty && latches.isEmpty, "seed \(seed)")
    }
}
