import Testing

@testable import MeridianSimulation

/// The account of what active-active tables may lose finds what is missing, and nothing else.
@Suite struct ActiveActiveAccountTests {
    private let key = RowName(part: 0, id: 1)

    private func mixed(
        visits: Int = 3, text: String = "t2", items: Set<Int> = [1, 2, 3, -1], notes: [String] = ["n1"],
        lost: Set<String> = [], removalHasSeen: Set<Int> = [1]
    ) -> String? {
        let account = ActiveActiveAccount()
        account.isComplete = true
        var first = MixedRow(key, witness: 1, visits: 1, total: 0)
        var made = MixedChange(witness: 1)
        made.noteNew(first)
        made.isAcknowledged = true
        var second = MixedChange(witness: 2)
        (second.visits, second.text, second.added) = (2, .init(new: "t2", priors: ["t1"]), -1)
        second.isAcknowledged = true
        // Nobody knows whether it has happened, but for its witness.
        var third = MixedChange(witness: 3)
        (third.removed, third.seen) = (-1, removalHasSeen)
        var fourth = MixedChange(witness: 4)
        fourth.visits = 100
        account.mixed[key] = [made, second, third, fourth]
        (first.visits, first.text, first.items) = (visits, text, items)
        account.mixedRows[key] = first
        account.mixedSiblings[key] = notes
        account.mixedConflicts[key] = lost
        return account.anomaly()
    }

    @Test func whatFollowsFromTheWritesIsRight() {
        #expect(mixed() == nil)
        #expect(mixed(visits: 103, items: [1, 2, 3, 4, -1]) == nil)
        #expect(mixed(items: [1, 2, 3], removalHasSeen: [1, 2]) == nil)
    }

    @Test func lostWritesAndWritesThatCountTwiceAreFound() {
        #expect(mixed(items: [1, 3, -1])?.contains("acknowledged write 2") == true)
        #expect(mixed(visits: 5)?.contains("visits is 5") == true)
        #expect(mixed(items: [1, 2, 3, 9, -1])?.contains("a write 9") == true)
        #expect(mixed(items: [1, 2, 3])?.contains("no removal had seen") == true)
        #expect(mixed(removalHasSeen: [1, 2])?.contains("seen all of its additions") == true)
        #expect(mixed(text: "t1")?.contains("has replaced") == true)
        #expect(mixed(text: "t7")?.contains("nobody has written") == true)
        #expect(mixed(notes: [])?.contains("siblings") == true)
    }

    private func whole(_ final: String?, lost: Set<String> = [], _ changes: [WholeChange]) -> String? {
        let account = ActiveActiveAccount()
        account.isComplete = true
        account.whole[key] = changes
        account.wholeRows[key] = final.map { WholeRow(part: 0, id: 1, text: $0) }
        account.wholeConflicts[key] = lost
        return account.anomaly()
    }

    @Test func aWriteThatLosesIsAConflict() {
        let both = [
            WholeChange(value: "a", prior: nil, isAcknowledged: true),
            WholeChange(value: "b", prior: nil, isAcknowledged: true),
        ]
        #expect(whole("b", both)?.contains("a was lost") == true)
        #expect(whole("b", lost: ["a"], both) == nil)
        #expect(whole(nil, lost: ["a", "b"], both)?.contains("nobody has deleted it") == true)
        let deletion = WholeChange(value: nil, prior: "b", isAcknowledged: true)
        #expect(whole(nil, lost: ["a"], both + [deletion]) == nil)
        #expect(whole("b", lost: ["a"], both + [deletion])?.contains("replaced or deleted") == true)
        let unknown = WholeChange(value: "c", prior: "b", isAcknowledged: false)
        #expect(whole("b", lost: ["a"], both + [unknown]) == nil)
        #expect(whole("c", lost: ["a"], both + [unknown]) == nil)
        #expect(whole("d", lost: ["a", "b"], both)?.contains("nobody has written") == true)
    }

    @Test func aRunThatWasNotComparedIsNoSuccess() {
        #expect(ActiveActiveAccount().anomaly() != nil)
    }
}
