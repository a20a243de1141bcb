import MeridianCore
import Testing

@testable import MeridianTransactions

@Suite struct LockTableTests {
    private typealias Claim = LockTable.Claim

    private func key(_ number: Int) -> Key { Key([UInt8(number)]) }
    private func span(_ lower: Int, _ upper: Int) -> KeySpan { KeySpan(lower: key(lower), upper: key(upper)) }
    private func owner(_ number: UInt64) -> RequestID { RequestID(high: 0, low: number) }
    /// The lower, the older; the same number as the owner's.
    private func age(_ number: UInt64) -> TransactionPriority {
        TransactionPriority(begun: Timestamp(nanoseconds: Int64(number)), request: owner(number))
    }

    /// A table in which one transaction holds something for a second.
    private func held(by number: UInt64, _ claim: LockTable.Claim) -> LockTable {
        var locks = LockTable()
        locks.lock(owner(number), age(number), claim, until: Instant(nanoseconds: 1_000))
        return locks
    }

    private func admits(_ locks: LockTable, _ number: UInt64, _ claim: LockTable.Claim) -> Bool {
        var locks = locks
        return locks.admit(owner(number), age(number), claim).isAdmitted
    }

    @Test func anEmptyTableAdmitsEverybody() {
        var locks = LockTable()
        #expect(locks.isEmpty)
        let (isAdmitted, hasWounded) = locks.admit(owner(1), nil, .init(exclusive: [key(1)], spans: [span(0, 9)]))
        #expect(isAdmitted && !hasWounded)
    }

    @Test func aYoungerOneWaits() {
        let locks = held(by: 1, .init(exclusive: [key(1)]))
        #expect(!admits(locks, 2, .init(exclusive: [key(1)])))
        #expect(!admits(locks, 2, .init(shared: [key(1)])))
        #expect(admits(locks, 2, .init(exclusive: [key(2)])))
    }

    @Test func anOlderOneTakesTheLocksAway() {
        var locks = held(by: 2, .init(exclusive: [key(1), key(2)]))
        let (isAdmitted, hasWounded) = locks.admit(owner(1), age(1), .init(exclusive: [key(1)]))
        #expect(isAdmitted && hasWounded)
        #expect(locks.isEmpty, "all of them, also those that are not in its way")
    }

    @Test func aCommitWithoutAgeWaitsForEverybody() {
        var locks = held(by: 9, .init(exclusive: [key(1)]))
        let (isAdmitted, hasWounded) = locks.admit(owner(1), nil, .init(exclusive: [key(1)]))
        #expect(!isAdmitted && !hasWounded)
        #expect(!locks.isEmpty)
    }

    @Test func onesOwnLocksHoldNobodyUp() {
        let locks = held(by: 1, .init(exclusive: [key(1)], shared: [key(2)], spans: [span(0, 9)]))
        #expect(admits(locks, 1, .init(exclusive: [key(1), key(2), key(3)], spans: [span(0, 9)])))
    }

    @Test func sharedLocksAreHeldTogether() {
        let locks = held(by: 1, .init(shared: [key(1)]))
        #expect(admits(locks, 2, .init(shared: [key(1)])))
        #expect(!admits(locks, 2, .init(exclusive: [key(1)])))
    }

    @Test func whatIsInsertedIntoALockedSpanWaits() {
        let locks = held(by: 1, .init(spans: [span(2, 5)]))
        #expect(!admits(locks, 2, .init(exclusive: [key(4)])))
        #expect(admits(locks, 2, .init(exclusive: [key(5)])), "the upper bound lies outside")
        #expect(admits(locks, 2, .init(shared: [key(4)], spans: [span(0, 9)])), "reading disturbs no reading")
    }

    @Test func aSpanWaitsForWhatIsWrittenInIt() {
        let locks = held(by: 1, .init(exclusive: [key(4)], shared: [key(7)]))
        #expect(!admits(locks, 2, .init(spans: [span(2, 5)])))
        #expect(admits(locks, 2, .init(spans: [span(5, 9)])))
    }

    /// It would have to wait all the same, so nobody loses anything for it.
    @Test func oneThatWaitsForAnOlderOneWoundsNobody() {
        var locks = held(by: 3, .init(exclusive: [key(3)]))
        locks.lock(owner(1), age(1), .init(exclusive: [key(1)]), until: Instant(nanoseconds: 1_000))
        let (isAdmitted, hasWounded) = locks.admit(owner(2), age(2), .init(exclusive: [key(1), key(3)]))
        #expect(!isAdmitted && !hasWounded)
        #expect(!admits(locks, 4, .init(exclusive: [key(3)])), "the younger one still holds its own")
    }

    @Test func theRequestBreaksTiesOfAge() {
        let begun = Timestamp(nanoseconds: 5)
        let first = TransactionPriority(begun: begun, request: owner(1))
        let second = TransactionPriority(begun: begun, request: owner(2))
        var locks = LockTable()
        locks.lock(owner(1), first, .init(exclusive: [key(1)]), until: Instant(nanoseconds: 1_000))
        let (isAdmitted, _) = locks.admit(owner(2), second, .init(exclusive: [key(1)]))
        #expect(!isAdmitted)
    }

    @Test func lockingAgainReplacesWhatWasHeld() {
        var locks = held(by: 1, .init(exclusive: [key(1)]))
        locks.lock(owner(1), age(1), .init(exclusive: [key(2)]), until: Instant(nanoseconds: 1_000))
        #expect(admits(locks, 2, .init(exclusive: [key(1)])))
        #expect(!admits(locks, 2, .init(exclusive: [key(2)])))
    }

    @Test func aKeyThatIsWrittenAndReadIsLockedExclusively() {
        let locks = held(by: 1, .init(exclusive: [key(1)], shared: [key(1)]))
        #expect(!admits(locks, 2, .init(shared: [key(1)])))
    }

    @Test func releasingFreesAllOfOneOwnersLocksAndNobodyElses() {
        var locks = held(by: 1, .init(exclusive: [key(1)], shared: [key(2)], spans: [span(5, 9)]))
        locks.lock(owner(2), age(2), .init(shared: [key(2)]), until: Instant(nanoseconds: 1_000))
        #expect(locks.release(owner(1)) == true)
        #expect(admits(locks, 3, .init(exclusive: [key(1), key(6)])))
        #expect(!admits(locks, 3, .init(exclusive: [key(2)])))
        #expect(locks.release(owner(1)) == false, "it holds none any more")
        #expect(locks.release(owner(2)) == true)
        #expect(locks.isEmpty)
    }

    @Test func locksExpireAtTheirTimeAndNoSooner() {
        var locks = held(by: 1, .init(exclusive: [key(1)]))
        locks.lock(owner(2), age(2), .init(exclusive: [key(2)]), until: Instant(nanoseconds: 2_000))
        #expect(locks.expire(at: Instant(nanoseconds: 999)) == false)
        #expect(locks.expire(at: Instant(nanoseconds: 1_000)) == true)
        #expect(admits(locks, 3, .init(exclusive: [key(1)])))
        #expect(!admits(locks, 3, .init(exclusive: [key(2)])))
        #expect(locks.expire(at: Instant(nanoseconds: 5_000)) == true)
        #expect(locks.isEmpty)
    }

    // MARK: Against the definition

    /// Who holds what, without an index.
    private struct Model {
        var holders: [UInt64: LockTable.Claim] = [:]

        static func conflict(_ a: LockTable.Claim, _ b: LockTable.Claim) -> Bool {
            func touches(_ a: LockTable.Claim, _ b: LockTable.Claim) -> Bool {
                a.exclusive.contains { key in
                    b.exclusive.contains(key) || b.shared.contains(key) || b.spans.contains { $0.contains(key) }
                }
            }
            return touches(a, b) || touches(b, a)
        }
    }

    @Test(arguments: UInt64(1)...20) func admitsWhomTheDefinitionAdmits(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        var locks = LockTable()
        var model = Model()
        func keys(_ limit: UInt64) -> [Key] { (0..<random.below(limit)).map { _ in key(Int(random.below(8))) } }
        for _ in 0..<300 {
            let number = 1 + random.below(6)
            if random.below(4) == 0 {
                #expect(locks.release(owner(number)) == (model.holders.removeValue(forKey: number) != nil))
                continue
            }
            let lower = Int(random.below(8))
            let spans = random.below(3) == 0 ? [span(lower, lower + 1 + Int(random.below(4)))] : []
            let claim = Claim(exclusive: keys(3), shared: keys(3), spans: spans)
            let others = model.holders.filter { $0.key != number && Model.conflict($0.value, claim) }.keys
            let mayGoOn = others.allSatisfy { number < $0 }
            let (isAdmitted, hasWounded) = locks.admit(owner(number), age(number), claim)
            #expect(isAdmitted == mayGoOn, "seed \(seed)")
            #expect(hasWounded == (mayGoOn && !others.isEmpty), "seed \(seed)")
            guard isAdmitted else { continue }
            for other in others { model.holders[other] = nil }
            model.holders[number] = claim
            locks.lock(owner(number), age(number), claim, until: .distantFuture)
        }
        for number in model.holders.keys { #expect(locks.release(owner(number)) == true, "seed \(seed)") }
        #expect(locks.isEmpty, "seed \(seed)")
    }
}
