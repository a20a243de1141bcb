import MeridianCore
import Testing

@testable import MeridianTransactions

/// Every transition of a recovery, by what it wants done.
@Suite struct RecoveryTests {
    typealias Action = Recovery.Action

    private static let anchor = RangeID(1)
    private static let other = RangeID(2)
    private static let third = RangeID(3)
    private static let all = [anchor, other, third]
    private static let candidate = Timestamp(nanoseconds: 100)
    private static let pushed = Timestamp(nanoseconds: 130)
    private static let id = TransactionID(request: RequestID(high: 1, low: 2), attempt: 3)
    private static let commit = Resolution.commit(at: candidate)
    private static let same = Presence(.first)

    private func preparation(
        participants: [RangeID] = all, readsElsewhere: Bool = false, acknowledgesDecided: Bool = false
    ) -> CommitStep.Preparation {
        CommitStep.Preparation(
            participants: participants.map { Participant($0) }, candidate: Self.candidate,
            readsElsewhere: readsElsewhere, acknowledgesDecided: acknowledgesDecided,
            priority: TransactionPriority(begun: .zero, request: Self.id.request))
    }

    private func prepared(at timestamp: Timestamp = candidate) -> Standing { .prepared(at: timestamp, preparation()) }

    /// One that has begun, met in a range that is not the anchor.
    /// - Parameter present: where its ranges are now; `nil` for what was given up. Without it, where they began.
    private func begun(
        from origin: RangeID = other, participants: [RangeID] = all, present: [Presence?]? = nil
    ) -> Recovery {
        var machine = recovery(from: origin, participants: participants, present: present)
        _ = machine.begin()
        return machine
    }

    private func recovery(
        from origin: RangeID = other, participants: [RangeID] = all, present: [Presence?]? = nil,
        committed: Timestamp? = nil
    ) -> Recovery {
        let present = present ?? participants.map { _ in Self.same }
        let generation = participants.firstIndex(of: origin).flatMap { present[$0]?.generation } ?? .first
        let machine = Recovery(
            id: Self.id, participants: participants.map { Participant($0) }, present: present,
            metIn: Participant(origin, in: generation), committed: committed)
        guard let machine else { preconditionFailure("all participants were given up") }
        return machine
    }

    /// One that has found the staging record.
    private func staged(
        participants: [RangeID] = all, at timestamp: Timestamp = candidate, readsElsewhere: Bool = false,
        acknowledgesDecided: Bool = false, present: [Presence?]? = nil
    ) -> Recovery {
        var machine = begun(participants: participants, present: present)
        let staging = preparation(
            participants: participants, readsElsewhere: readsElsewhere, acknowledgesDecided: acknowledgesDecided)
        _ = machine.received(.prepared(at: timestamp, staging), from: Self.anchor, after: .query)
        return machine
    }

    // MARK: What the anchor says

    @Test func theAnchorIsAskedFirst() {
        var machine = recovery()
        #expect(machine.begin() == [.resolve(Self.anchor, .query)])
    }

    @Test(arguments: [Standing.aborted, .over])
    func withoutAStagingRecordItIsAborted(standing: Standing) {
        var machine = begun()
        let actions = machine.received(standing, from: Self.anchor, after: .query)
        #expect(actions == [.resolve(Self.other, .abort), .resolve(Self.third, .abort)])
        #expect(machine.received(.aborted, from: Self.other, after: .abort).isEmpty)
        #expect(machine.received(.aborted, from: Self.third, after: .abort) == [.finish])
        #expect(machine.isOver)
    }

    @Test func withoutAStagingRecordThereIsNothingMoreToDoInTheAnchor() {
        var machine = begun(from: Self.anchor, participants: [Self.anchor])
        #expect(machine.received(.aborted, from: Self.anchor, after: .query) == [.finish])
    }

    @Test func aDecisionThatTheAnchorRemembersIsTold() {
        var machine = begun(participants: [Self.anchor, Self.other])
        let actions = machine.received(.committed(Self.candidate), from: Self.anchor, after: .query)
        #expect(actions == [.resolve(Self.other, Self.commit)])
        let last = machine.received(.committed(Self.candidate), from: Self.other, after: Self.commit)
        #expect(last == forgotten([Self.anchor, Self.other]))
    }

    @Test func withAStagingRecordEveryOtherParticipantIsAsked() {
        var machine = begun()
        let staging = Standing.prepared(at: Self.candidate, preparation(participants: Self.all))
        #expect(
            machine.received(staging, from: Self.anchor, after: .query) == [
                .resolve(Self.other, .query), .resolve(Self.third, .query),
            ])
    }

    // MARK: What the participants say

    @Test func nothingIsDecidedBeforeAllHaveAnswered() {
        var machine = staged()
        #expect(machine.received(prepared(), from: Self.third, after: .query).isEmpty)
        #expect(machine.received(prepared(), from: Self.third, after: .query).isEmpty, "the same range counts once")
    }

    @Test(arguments: [false, true]) func allPreparedAtTheCandidateCommitThere(readsElsewhere: Bool) {
        var machine = staged(readsElsewhere: readsElsewhere)
        _ = machine.received(prepared(), from: Self.other, after: .query)
        let actions = machine.received(prepared(), from: Self.third, after: .query)
        #expect(actions == [.resolve(Self.anchor, Self.commit)], "the client may have been told")
    }

    @Test func aPushedOneCommitsAtTheHighestTimestamp() {
        var machine = staged()
        _ = machine.received(prepared(at: Self.pushed), from: Self.other, after: .query)
        let actions = machine.received(prepared(at: Timestamp(nanoseconds: 110)), from: Self.third, after: .query)
        #expect(actions == [.resolve(Self.anchor, .commit(at: Self.pushed))])
    }

    @Test func aPushedAnchorCountsToo() {
        var machine = staged(participants: [Self.anchor, Self.other], at: Self.pushed)
        let actions = machine.received(prepared(), from: Self.other, after: .query)
        #expect(actions == [.resolve(Self.anchor, .commit(at: Self.pushed))])
    }

    /// What was only read was promised to stay as it is up to the candidate, and no further.
    @Test func aPushedOneThatHasReadElsewhereIsForbidden() {
        var machine = staged(participants: [Self.anchor, Self.other], readsElsewhere: true)
        let actions = machine.received(prepared(at: Self.pushed), from: Self.other, after: .query)
        #expect(actions == [.resolve(Self.anchor, .forbid)])
    }

    @Test func anAnchorAloneDecidesAtOnce() {
        var machine = begun(from: Self.anchor, participants: [Self.anchor])
        let staging = Standing.prepared(at: Self.candidate, preparation(participants: [Self.anchor]))
        #expect(
            machine.received(staging, from: Self.anchor, after: .query) == [.resolve(Self.anchor, Self.commit)])
        #expect(
            machine.received(.committed(Self.candidate), from: Self.anchor, after: Self.commit)
                == forgotten([Self.anchor]))
    }

    @Test func whatAParticipantHasTakenInWasDecided() {
        var machine = staged()
        let actions = machine.received(.committed(Self.pushed), from: Self.other, after: .query)
        #expect(actions == [.resolve(Self.anchor, .commit(at: Self.pushed))])
    }

    @Test(arguments: [Standing.aborted, .over])
    func aParticipantThatHasNotPreparedLeavesItToTheAnchor(standing: Standing) {
        var machine = staged()
        #expect(machine.received(standing, from: Self.other, after: .query) == [.resolve(Self.anchor, .forbid)])
    }

    // MARK: The decision

    @Test func whatTheAnchorDecidesIsToldToAllOthers() {
        var machine = staged()
        _ = machine.received(prepared(), from: Self.other, after: .query)
        _ = machine.received(prepared(), from: Self.third, after: .query)
        let before = Timestamp(nanoseconds: 120)
        let actions = machine.received(.committed(before), from: Self.anchor, after: Self.commit)
        #expect(
            actions == [.resolve(Self.other, .commit(at: before)), .resolve(Self.third, .commit(at: before))],
            "somebody else decided first")
    }

    @Test func theAnchorsCommitWinsOverAForbid() {
        var machine = staged()
        _ = machine.received(.aborted, from: Self.other, after: .query)
        let actions = machine.received(.committed(Self.candidate), from: Self.anchor, after: .forbid)
        #expect(actions == [.resolve(Self.other, Self.commit), .resolve(Self.third, Self.commit)])
    }

    @Test(arguments: [Standing.aborted, .over]) func whatTheAnchorForbidsIsAbortedEverywhere(standing: Standing) {
        var machine = staged()
        _ = machine.received(.aborted, from: Self.other, after: .query)
        let actions = machine.received(standing, from: Self.anchor, after: .forbid)
        #expect(actions == [.resolve(Self.other, .abort), .resolve(Self.third, .abort)])
        #expect(machine.received(.aborted, from: Self.other, after: .abort).isEmpty)
        #expect(machine.received(.aborted, from: Self.third, after: .abort) == [.finish], "there is nothing to forget")
    }

    @Test func aRefusedCommitIsAbortedEverywhere() {
        var machine = staged(participants: [Self.anchor, Self.other])
        _ = machine.received(prepared(), from: Self.other, after: .query)
        let actions = machine.received(.aborted, from: Self.anchor, after: Self.commit)
        #expect(actions == [.resolve(Self.other, .abort)])
    }

    @Test func nobodyForgetsBeforeAllParticipantsKnow() {
        var machine = staged()
        _ = machine.received(prepared(), from: Self.other, after: .query)
        _ = machine.received(prepared(), from: Self.third, after: .query)
        _ = machine.received(.committed(Self.candidate), from: Self.anchor, after: Self.commit)
        #expect(machine.received(.over, from: Self.third, after: Self.commit).isEmpty)
        #expect(machine.received(.over, from: Self.third, after: Self.commit).isEmpty)
        #expect(
            machine.received(.committed(Self.candidate), from: Self.other, after: Self.commit)
                == forgotten(Self.all))
    }

    @Test func oneThatHasPromisedAHigherBallotIsNotTold() {
        var machine = staged(participants: [Self.anchor, Self.other])
        _ = machine.received(prepared(), from: Self.other, after: .query)
        _ = machine.received(.committed(Self.candidate), from: Self.anchor, after: Self.commit)
        #expect(machine.received(prepared(), from: Self.other, after: Self.commit) == [.finish])
    }

    private func forgotten(_ ranges: [RangeID]) -> [Action] { ranges.map { .resolve($0, .forget) } + [.finish] }

    // MARK: Late answers

    /// Of a recovery that the same node gave up: it had found the staging record, and asked the participants.
    @Test(arguments: [Standing.prepared(at: candidate, .participant), .aborted, .over])
    func aParticipantsAnswerToAnEarlierRecoveryIsNotTheAnchors(standing: Standing) {
        var machine = begun(from: Self.third)
        #expect(machine.received(standing, from: Self.other, after: .query).isEmpty)
        let staging = Standing.prepared(at: Self.candidate, preparation(participants: Self.all))
        #expect(machine.received(staging, from: Self.anchor, after: .query).count == 2, "it still waits for the anchor")
    }

    @Test func theAnchorsAnswerToAnEarlierRecoveryIsNoParticipants() {
        var machine = staged()
        #expect(machine.received(.aborted, from: Self.anchor, after: .forbid).isEmpty)
        #expect(machine.received(.over, from: Self.anchor, after: .forget).isEmpty)
        #expect(machine.received(.over, from: Self.other, after: Self.commit).isEmpty)
    }

    @Test func thatTheAnchorHasForgottenIsNoDecision() {
        var machine = staged(participants: [Self.anchor, Self.other])
        _ = machine.received(prepared(), from: Self.other, after: .query)
        #expect(machine.received(.over, from: Self.anchor, after: .forget).isEmpty)
    }

    @Test func anAnswerToAnEarlierQuestionIsNoDecision() {
        var machine = staged()
        _ = machine.received(.aborted, from: Self.other, after: .query)
        #expect(machine.received(.aborted, from: Self.anchor, after: .query).isEmpty)
        #expect(machine.received(.aborted, from: Self.third, after: .query).isEmpty)
        #expect(machine.received(prepared(), from: Self.third, after: .query).isEmpty)
        #expect(!machine.isOver)
    }

    @Test func anAnswerToAnEarlierQuestionDoesNotCountAsTold() {
        var machine = staged(participants: [Self.anchor, Self.other])
        _ = machine.received(.aborted, from: Self.other, after: .query)
        _ = machine.received(.aborted, from: Self.anchor, after: .forbid)
        #expect(machine.received(.aborted, from: Self.other, after: .query).isEmpty)
        #expect(machine.received(.aborted, from: Self.anchor, after: .abort).isEmpty, "the anchor knows already")
        #expect(machine.received(.aborted, from: Self.other, after: .abort) == [.finish])
    }

    @Test func nothingIsTakenUpWhenItIsOver() {
        var machine = begun()
        #expect(machine.failed() == [.finish])
        #expect(machine.isOver)
        let staging = Standing.prepared(at: Self.candidate, preparation(participants: Self.all))
        #expect(machine.received(staging, from: Self.anchor, after: .query).isEmpty)
    }

    // MARK: A transaction that has committed where it is met

    @Test func oneThatHasCommittedIsDecidedAndTold() {
        var machine = recovery(committed: Self.candidate)
        #expect(machine.begin() == [.resolve(Self.anchor, Self.commit)])
        let actions = machine.received(.committed(Self.candidate), from: Self.anchor, after: Self.commit)
        #expect(actions == [.resolve(Self.other, Self.commit), .resolve(Self.third, Self.commit)])
        _ = machine.received(.over, from: Self.other, after: Self.commit)
        let last = machine.received(.committed(Self.candidate), from: Self.third, after: Self.commit)
        #expect(last == forgotten(Self.all))
    }

    /// It knew once, and was told that all do.
    @Test func anAnchorThatHasForgottenDoesNotUndoIt() {
        var machine = recovery(participants: [Self.anchor, Self.other], committed: Self.candidate)
        _ = machine.begin()
        let actions = machine.received(.over, from: Self.anchor, after: Self.commit)
        #expect(actions == [.resolve(Self.other, Self.commit)])
    }

    // MARK: Ranges that have failed over, or were given up

    private static let next = Generation(1)
    private static let lossy = Presence(next, hasLost: true)
    private static let whole = Presence(next)

    @Test func inALaterHistoryOfTheAnchorAllAreAskedAtOnce() {
        var machine = recovery(present: [Self.lossy, Self.same, Self.same])
        #expect(machine.begin() == Self.all.map { .resolve($0, .query) })
        #expect(machine.ballot == Ballot(position: 0, generation: Self.next))
        #expect(machine.generation(of: Self.anchor) == Self.next)
        #expect(machine.generation(of: Self.other) == .first)
    }

    /// What has told it so may be lost with the end of the anchor's log.
    @Test func whatALaterHistoryDoesNotKnowAndAParticipantHasTakenInIsDecidedAgain() {
        var machine = begun(present: [Self.lossy, Self.same, Self.same])
        #expect(machine.received(.aborted, from: Self.anchor, after: .query).isEmpty)
        let actions = machine.received(.committed(Self.pushed), from: Self.third, after: .query)
        #expect(actions == [.resolve(Self.anchor, .commit(at: Self.pushed))])
    }

    /// What the anchor had decided last may be lost, and its client have been told that it would never commit.
    @Test func aLaterHistoryThatHasLostSomethingDoesNotCommitWhatAllHavePrepared() {
        var machine = begun(present: [Self.lossy, Self.same, Self.same])
        for range in [Self.anchor, Self.other] { _ = machine.received(prepared(), from: range, after: .query) }
        let actions = machine.received(prepared(), from: Self.third, after: .query)
        #expect(actions == [.resolve(Self.anchor, .undo(mayBeAcknowledged: true))])
    }

    @Test func aLaterHistoryThatHasLostNothingCommitsWhatAllHavePrepared() {
        var machine = begun(present: [Self.whole, Self.same, Self.same])
        for range in [Self.other, Self.third] { _ = machine.received(prepared(), from: range, after: .query) }
        #expect(machine.received(prepared(), from: Self.anchor, after: .query) == [.resolve(Self.anchor, Self.commit)])
    }

    /// All are asked before it is undone: the last may have taken the commit in.
    @Test func aLaterHistoryWithoutTheStagingRecordUndoesWhatNobodyHasTakenIn() {
        var machine = begun(present: [Self.lossy, Self.same, Self.same])
        #expect(machine.received(.aborted, from: Self.anchor, after: .query).isEmpty)
        #expect(machine.received(prepared(), from: Self.other, after: .query).isEmpty)
        let actions = machine.received(prepared(), from: Self.third, after: .query)
        #expect(actions == [.resolve(Self.anchor, .undo(mayBeAcknowledged: true))])
        let told = machine.received(.aborted, from: Self.anchor, after: .undo(mayBeAcknowledged: true))
        #expect(told == [.resolve(Self.other, .abort), .resolve(Self.third, .abort)])
    }

    @Test func whereARangeHasLostNothingAndHasNotPreparedNobodyWasToldOfACommit() {
        var machine = begun(present: [Self.lossy, Self.same, Self.same])
        _ = machine.received(.aborted, from: Self.anchor, after: .query)
        _ = machine.received(.aborted, from: Self.other, after: .query)
        let actions = machine.received(prepared(), from: Self.third, after: .query)
        #expect(actions == [.resolve(Self.anchor, .undo(mayBeAcknowledged: false))], "its record is the decision")
    }

    @Test func theNextInOrderDecidesForAnAnchorThatWasGivenUp() {
        var machine = recovery(from: Self.third, present: [nil, Self.same, Self.same])
        #expect(machine.begin() == [.resolve(Self.other, .query), .resolve(Self.third, .query)])
        #expect(machine.ballot == Ballot(position: 1, generation: .first))
        #expect(machine.received(prepared(), from: Self.other, after: .query).isEmpty)
        let actions = machine.received(prepared(), from: Self.third, after: .query)
        #expect(actions == [.resolve(Self.other, .undo(mayBeAcknowledged: true))], "it is not known what was lost")
        _ = machine.received(.aborted, from: Self.other, after: .undo(mayBeAcknowledged: true))
        #expect(machine.received(.aborted, from: Self.third, after: .abort) == [.finish], "the anchor hears nothing")
    }

    @Test func whatWasGivenUpCountsAsNotPrepared() {
        var machine = staged(present: [Self.same, Self.same, nil])
        let actions = machine.received(prepared(), from: Self.other, after: .query)
        #expect(actions == [.resolve(Self.anchor, .undo(mayBeAcknowledged: true))])
    }

    @Test func aLossOfWhatWasNotAcknowledgedUntilDecidedNeedsNoReport() {
        var machine = staged(acknowledgesDecided: true, present: [Self.same, Self.same, nil])
        let actions = machine.received(prepared(), from: Self.other, after: .query)
        #expect(actions == [.resolve(Self.anchor, .forbid)])
    }

    /// It has prepared for certain, or not at all, but can have prepared and lost it.
    @Test func aParticipantThatHasFailedOverCanHaveLostWhatItHadPrepared() {
        var machine = staged(present: [Self.same, Self.lossy, Self.same])
        #expect(machine.received(.aborted, from: Self.other, after: .query).isEmpty)
        let actions = machine.received(prepared(), from: Self.third, after: .query)
        #expect(actions == [.resolve(Self.anchor, .undo(mayBeAcknowledged: true))])
    }

    @Test func whereAllWereGivenUpThereIsNobodyToAsk() {
        let participants = Self.all.map { Participant($0) }
        let machine = Recovery(
            id: Self.id, participants: participants, present: [nil, nil, nil], metIn: participants[1])
        #expect(machine == nil)
    }

    /// What it says of itself may be what the failover has cut off.
    @Test(arguments: [Presence(next, hasLost: true), nil])
    func aHistoryThatHasEndedBearsNoWitnessToACommit(presence: Presence?) {
        let machine = Recovery(
            id: Self.id, participants: Self.all.map { Participant($0) }, present: [presence, Self.same, Self.same],
            metIn: Participant(Self.anchor), committed: Self.candidate)
        #expect(machine == nil)
    }

    @Test func aParticipantThatHasFailedOverAndLostNothingHadNotPrepared() {
        var machine = staged(present: [Self.same, Self.whole, Self.same])
        #expect(machine.received(.aborted, from: Self.other, after: .query) == [.resolve(Self.anchor, .forbid)])
    }

    @Test func aRangeThatWasGivenUpAndStillHoldsItIsTold() {
        var machine = begun(from: Self.anchor, participants: [Self.anchor, Self.other], present: [nil, Self.same])
        _ = machine.received(prepared(), from: Self.other, after: .query)
        let told = machine.received(.aborted, from: Self.other, after: .undo(mayBeAcknowledged: true))
        #expect(told == [.resolve(Self.anchor, .abort)])
    }

    @Test func ballotsRiseWithThePositionFirst() {
        let order = [
            Ballot(position: 0, generation: .first), Ballot(position: 0, generation: Self.next),
            Ballot(position: 1, generation: .first), Ballot(position: 1, generation: Self.next),
        ]
        #expect(order.shuffled().sorted() == order)
    }
}

extension CommitStep.Preparation {
    /// What a participant has.
    fileprivate static let participant = CommitStep.Preparation(
        participants: [Participant(RangeID(1)), Participant(RangeID(2)), Participant(RangeID(3))],
        candidate: Timestamp(nanoseconds: 100), readsElsewhere: false,
        priority: TransactionPriority(begun: .zero, request: RequestID(high: 1, low: 2)))
}
