import MeridianCore
import Testing

@testable import MeridianTransactions

/// Every transition of a commit over several ranges, by what the coordinator wants done.
@Suite struct CommitCoordinatorTests {
    typealias Action = CommitCoordinator.Action

    private static let anchor = RangeID(1)
    private static let other = RangeID(2)
    private static let third = RangeID(3)
    private static let reader = RangeID(8)
    private static let secondReader = RangeID(9)
    private static let candidate = Timestamp(nanoseconds: 100)
    private static let pushed = Timestamp(nanoseconds: 130)
    private static let id = TransactionID(request: RequestID(high: 1, low: 2), attempt: 3)
    private static let earlier = TransactionID(request: RequestID(high: 1, low: 2), attempt: 2)
    private static let refusal = MeridianError(.rowNotFound, "no row has this key")
    private static let silence = MeridianError(.deadlineExceeded, "no quorum answered")

    private func coordinator(
        writers: [RangeID] = [anchor, other], readers: [RangeID] = [], mayBeRepeated: Bool = false,
        acknowledgesDecided: Bool = false
    ) -> CommitCoordinator {
        CommitCoordinator(
            id: Self.id, participants: writers.map { Participant($0) }, readers: readers, candidate: Self.candidate,
            mayBeRepeated: mayBeRepeated, acknowledgesDecided: acknowledgesDecided)
    }

    /// One that has begun, and has had these answers.
    private func coordinator(
        writers: [RangeID] = [anchor, other], readers: [RangeID] = [], mayBeRepeated: Bool = false,
        after answers: [(RangeID, CommitCoordinator.Answer)]
    ) -> CommitCoordinator {
        var machine = coordinator(writers: writers, readers: readers, mayBeRepeated: mayBeRepeated)
        _ = machine.begin()
        for (range, answer) in answers { _ = machine.received(answer, from: range) }
        return machine
    }

    private func prepared(
        at timestamp: Timestamp = candidate, candidate: Timestamp = candidate
    ) -> CommitCoordinator.Answer { .prepared(at: timestamp, candidate: candidate) }

    private func refused(
        _ question: CommitCoordinator.Question = .prepare, wasRepeated: Bool = false
    ) -> CommitCoordinator.Answer { .failed(Self.refusal, question, wasRepeated: wasRepeated) }

    /// What a client hears when the attempt is given up for this reason.
    private func outcome(of actions: [Action]) -> CommitCoordinator.Outcome? {
        for case .finish(let outcome) in actions { return outcome }
        return nil
    }

    private func error(of actions: [Action]) -> MeridianError? {
        guard case .failed(let error)? = outcome(of: actions) else { return nil }
        return error
    }

    // MARK: One round

    @Test func allWritersAreAskedToPrepareAtOnce() {
        var machine = coordinator(writers: [Self.anchor, Self.other, Self.third])
        #expect(machine.begin() == [.prepare(Self.anchor), .prepare(Self.other), .prepare(Self.third)])
    }

    @Test func nothingIsDecidedBeforeAllHavePrepared() {
        var machine = coordinator(writers: [Self.anchor, Self.other, Self.third], after: [])
        #expect(machine.received(prepared(), from: Self.other).isEmpty)
        #expect(machine.received(prepared(), from: Self.anchor).isEmpty)
        #expect(machine.received(prepared(), from: Self.other).isEmpty, "the same range again counts once")
    }

    @Test func itIsCommittedInOneRoundWhenAllHavePreparedAtTheCandidate() {
        var machine = coordinator(after: [(Self.anchor, prepared())])
        #expect(
            machine.received(prepared(), from: Self.other) == [
                .finish(.committed(Self.candidate)), .resolve(Self.anchor, .commit(at: Self.candidate)),
            ])
    }

    /// It is what recoveries read.
    @Test func theCandidateThatCountsIsTheAnchors() {
        let anchors = Timestamp(nanoseconds: 90)
        var machine = coordinator(after: [(Self.anchor, prepared(at: anchors, candidate: anchors))])
        let actions = machine.received(prepared(at: Self.candidate), from: Self.other)
        #expect(actions == [.resolve(Self.anchor, .commit(at: Self.candidate))], "pushed, for the anchor")
    }

    @Test func theOthersAreToldWhenTheAnchorsLogSaysSo() {
        var machine = coordinator(
            writers: [Self.anchor, Self.other, Self.third],
            after: [(Self.anchor, prepared()), (Self.other, prepared()), (Self.third, prepared())])
        let actions = machine.received(
            .standing(.committed(Self.candidate), after: .commit(at: Self.candidate)), from: Self.anchor)
        #expect(
            actions == [
                .resolve(Self.other, .commit(at: Self.candidate)), .resolve(Self.third, .commit(at: Self.candidate)),
            ])
    }

    @Test func nobodyForgetsBeforeAllParticipantsKnow() {
        let commit = Resolution.commit(at: Self.candidate)
        let told = CommitCoordinator.Answer.standing(.committed(Self.candidate), after: commit)
        var machine = coordinator(
            writers: [Self.anchor, Self.other, Self.third],
            after: [
                (Self.anchor, prepared()), (Self.other, prepared()), (Self.third, prepared()), (Self.anchor, told),
            ])
        #expect(machine.received(told, from: Self.third).isEmpty)
        #expect(machine.received(told, from: Self.third).isEmpty, "the same range again counts once")
        #expect(!machine.isOver)
        #expect(
            machine.received(told, from: Self.other)
                == [Self.anchor, Self.other, Self.third].map { .resolve($0, .forget) })
        #expect(machine.isOver)
    }

    @Test func aParticipantThatCannotBeToldIsLeftToTheAnchor() {
        let commit = Resolution.commit(at: Self.candidate)
        var machine = coordinator(
            after: [
                (Self.anchor, prepared()), (Self.other, prepared()),
                (Self.anchor, .standing(.committed(Self.candidate), after: commit)),
            ])
        #expect(machine.received(.failed(Self.silence, .resolve, wasRepeated: true), from: Self.other).isEmpty)
        #expect(machine.isOver)
    }

    /// Another range was given up with what it had prepared, and a recovery found it so before this could be decided.
    @Test(arguments: [Standing.aborted, .over])
    func nobodyIsToldToCommitWhatTheAnchorsLogDoesNotSay(standing: Standing) {
        var machine = coordinator(after: [(Self.anchor, prepared()), (Self.other, prepared())])
        let commit = Resolution.commit(at: Self.candidate)
        #expect(machine.received(.standing(standing, after: commit), from: Self.anchor).isEmpty)
        #expect(machine.isOver)
    }

    // MARK: Two rounds

    @Test(arguments: [[], [reader]])
    func whereWhatIsPreparedIsNotEnoughTheAnchorDecidesBeforeTheClientIsAnswered(readers: [RangeID]) {
        var machine = coordinator(readers: readers, acknowledgesDecided: true)
        _ = machine.begin()
        for reader in readers { _ = machine.received(.confirmed, from: reader) }
        #expect(machine.received(prepared(), from: Self.other).isEmpty)
        let commit = Resolution.commit(at: Self.candidate)
        #expect(machine.received(prepared(), from: Self.anchor) == [.resolve(Self.anchor, commit)])
        let actions = machine.received(.standing(.committed(Self.candidate), after: commit), from: Self.anchor)
        #expect(actions == [.finish(.committed(Self.candidate)), .resolve(Self.other, commit)])
    }

    @Test func theHighestTimestampIsFixedByTheAnchorWhenOneIsPushed() {
        var machine = coordinator(
            writers: [Self.anchor, Self.other, Self.third],
            after: [(Self.other, prepared(at: Self.pushed)), (Self.third, prepared(at: Timestamp(nanoseconds: 110)))])
        let actions = machine.received(prepared(), from: Self.anchor)
        #expect(actions == [.resolve(Self.anchor, .commit(at: Self.pushed))], "the client is not answered yet")
    }

    @Test func aPushedAnchorNeedsASecondRoundToo() {
        var machine = coordinator(after: [(Self.other, prepared())])
        let actions = machine.received(prepared(at: Self.pushed), from: Self.anchor)
        #expect(actions == [.resolve(Self.anchor, .commit(at: Self.pushed))])
    }

    @Test func theClientHearsOfAPushedCommitWhenTheAnchorHasDecided() {
        var machine = coordinator(after: [(Self.other, prepared(at: Self.pushed)), (Self.anchor, prepared())])
        let actions = machine.received(
            .standing(.committed(Self.pushed), after: .commit(at: Self.pushed)), from: Self.anchor)
        #expect(actions == [.finish(.committed(Self.pushed)), .resolve(Self.other, .commit(at: Self.pushed))])
    }

    @Test func whatTheAnchorHasDecidedBeforeIsTheOutcome() {
        let before = Timestamp(nanoseconds: 120)
        var machine = coordinator(after: [(Self.other, prepared(at: Self.pushed)), (Self.anchor, prepared())])
        let actions = machine.received(
            .standing(.committed(before), after: .commit(at: Self.pushed)), from: Self.anchor)
        #expect(actions == [.finish(.committed(before)), .resolve(Self.other, .commit(at: before))])
    }

    @Test(arguments: [Standing.aborted, .over]) func aPushedOneThatWasAbortedMeanwhileHasFailed(standing: Standing) {
        var machine = coordinator(after: [(Self.other, prepared(at: Self.pushed)), (Self.anchor, prepared())])
        let actions = machine.received(.standing(standing, after: .commit(at: Self.pushed)), from: Self.anchor)
        #expect(error(of: actions)?.code == .conflict)
        #expect(error(of: actions)?.commitOutcome == .notCommitted)
        #expect(actions.dropFirst() == [.resolve(Self.other, .abort)])
        #expect(machine.isOver)
    }

    @Test func theOutcomeIsUnknownWhenTheAnchorDoesNotSayWhetherItDecided() {
        var machine = coordinator(after: [(Self.other, prepared(at: Self.pushed)), (Self.anchor, prepared())])
        let actions = machine.received(.failed(Self.silence, .resolve, wasRepeated: true), from: Self.anchor)
        #expect(actions.count == 1, "nobody is told to abort")
        #expect(error(of: actions)?.code == .commitStatusUnknown)
        #expect(error(of: actions)?.commitOutcome == .unknown)
        #expect(machine.isOver)
    }

    @Test func aCommitInOneRangeWithReadersEndsWithoutOthersToTell() {
        var machine = coordinator(
            writers: [Self.anchor], readers: [Self.reader],
            after: [(Self.reader, .confirmed), (Self.anchor, prepared())])
        let actions = machine.received(
            .standing(.committed(Self.candidate), after: .commit(at: Self.candidate)), from: Self.anchor)
        #expect(actions == [.resolve(Self.anchor, .forget)])
        #expect(machine.isOver)
    }

    // MARK: Ranges that are only read

    @Test func theStagingRecordIsHeldBackUntilAllReadersHaveConfirmed() {
        var machine = coordinator(readers: [Self.reader, Self.secondReader])
        #expect(
            machine.begin() == [
                .prepare(Self.other), .confirm(Self.reader, upTo: Self.candidate),
                .confirm(Self.secondReader, upTo: Self.candidate),
            ])
        #expect(machine.received(.confirmed, from: Self.secondReader).isEmpty)
        #expect(machine.received(prepared(), from: Self.other).isEmpty)
        #expect(machine.received(.confirmed, from: Self.reader) == [.prepare(Self.anchor)])
        #expect(machine.received(.confirmed, from: Self.reader).isEmpty, "it is sent once")
    }

    @Test func readersConfirmAgainUpToTheNewTimestampAfterAPush() {
        var machine = coordinator(
            readers: [Self.reader, Self.secondReader],
            after: [
                (Self.reader, .confirmed), (Self.secondReader, .confirmed), (Self.other, prepared(at: Self.pushed)),
            ])
        #expect(
            machine.received(prepared(), from: Self.anchor) == [
                .confirm(Self.reader, upTo: Self.pushed), .confirm(Self.secondReader, upTo: Self.pushed),
            ])
        #expect(machine.received(.confirmed, from: Self.reader).isEmpty)
        #expect(
            machine.received(.confirmed, from: Self.secondReader)
                == [.resolve(Self.anchor, .commit(at: Self.pushed))])
    }

    @Test func aReaderThatRefusesBeforeStagingIsTheEnd() {
        var machine = coordinator(readers: [Self.reader], after: [(Self.other, prepared())])
        let actions = machine.received(refused(.confirm, wasRepeated: true), from: Self.reader)
        #expect(actions == [.finish(.failed(Self.refusal)), .resolve(Self.other, .abort)])
        #expect(machine.isOver)
    }

    /// The staging record is there, and whoever recovers it might come to another result.
    @Test func aReaderThatRefusesAfterAPushLeavesItToTheAnchor() {
        var machine = coordinator(
            readers: [Self.reader],
            after: [(Self.reader, .confirmed), (Self.other, prepared(at: Self.pushed)), (Self.anchor, prepared())])
        #expect(machine.received(refused(.confirm), from: Self.reader) == [.resolve(Self.anchor, .forbid)])
    }

    // MARK: Refusals

    @Test func aCertainRefusalIsReportedAtOnceAndTheOthersAreTold() {
        var machine = coordinator(
            writers: [Self.anchor, Self.other, Self.third], after: [(Self.anchor, prepared())])
        let actions = machine.received(refused(), from: Self.other)
        #expect(
            actions == [
                .finish(.failed(Self.refusal)), .resolve(Self.anchor, .abort), .resolve(Self.third, .abort),
            ])
        #expect(machine.isOver)
    }

    @Test func aRefusalOfARepeatedQuestionWaitsForTheAnchor() {
        var machine = coordinator(after: [])
        #expect(machine.received(refused(wasRepeated: true), from: Self.other) == [.resolve(Self.anchor, .forbid)])
        let actions = machine.received(.standing(.aborted, after: .forbid), from: Self.anchor)
        #expect(actions == [.finish(.failed(Self.refusal)), .resolve(Self.other, .abort)])
        #expect(machine.isOver)
    }

    @Test func aRefusalOfARepeatedRequestWaitsForTheAnchor() {
        var machine = coordinator(mayBeRepeated: true, after: [])
        #expect(machine.received(refused(), from: Self.other) == [.resolve(Self.anchor, .forbid)])
    }

    /// What failed is this attempt. The one before may have committed, for all that this coordinator knows.
    @Test func aRepeatedRequestThatFailsLeavesItsOutcomeOpen() {
        var machine = coordinator(mayBeRepeated: true, after: [(Self.other, refused())])
        let actions = machine.received(.standing(.aborted, after: .forbid), from: Self.anchor)
        #expect(error(of: actions)?.code == Self.refusal.code)
        #expect(error(of: actions)?.commitOutcome == .unknown)
    }

    @Test func nobodyIsToldToAbortBeforeTheAnchorHasForbidden() {
        var machine = coordinator(after: [(Self.other, refused(wasRepeated: true))])
        #expect(machine.received(prepared(), from: Self.anchor).isEmpty)
        #expect(machine.received(refused(), from: Self.anchor).isEmpty)
        #expect(!machine.isOver)
    }

    @Test func theAnchorsCommitWinsOverAnAbort() {
        var machine = coordinator(after: [(Self.other, refused(wasRepeated: true))])
        let actions = machine.received(.standing(.committed(Self.candidate), after: .forbid), from: Self.anchor)
        #expect(
            actions == [.finish(.committed(Self.candidate)), .resolve(Self.other, .commit(at: Self.candidate))])
    }

    @Test func theOutcomeIsUnknownWhenTheAnchorDoesNotForbid() {
        var machine = coordinator(after: [(Self.other, refused(wasRepeated: true))])
        let actions = machine.received(.failed(Self.silence, .resolve, wasRepeated: true), from: Self.anchor)
        #expect(actions.count == 1, "nobody is told to abort")
        #expect(error(of: actions)?.code == .commitStatusUnknown)
        #expect(machine.isOver)
    }

    @Test func aRangeThatWasNotAskedIsNotTold() {
        var machine = coordinator(
            writers: [Self.anchor, Self.other, Self.third], readers: [Self.reader], after: [(Self.third, prepared())])
        let actions = machine.received(refused(), from: Self.other)
        #expect(actions == [.finish(.failed(Self.refusal)), .resolve(Self.third, .abort)], "the anchor knows nothing")
    }

    // MARK: Earlier attempts

    @Test func anEarlierAttemptInDoubtIsRecoveredFirst() {
        var machine = coordinator(mayBeRepeated: true, after: [])
        #expect(
            machine.received(.inDoubt(Self.earlier, [Participant(Self.third)]), from: Self.other)
                == [.recover(Self.earlier, [Participant(Self.third)], metIn: Self.other)])
        #expect(machine.recovered(in: Self.other) == [.prepare(Self.other)])
    }

    @Test func aRecoveryThatEndsTooLateAsksNobody() {
        var machine = coordinator(
            mayBeRepeated: true, after: [(Self.other, .inDoubt(Self.earlier, [Participant(Self.other)]))])
        _ = machine.received(refused(), from: Self.anchor)
        #expect(machine.recovered(in: Self.other).isEmpty)
    }

    @Test func anEarlierAttemptThatCommittedIsTheAnswer() {
        var machine = coordinator(mayBeRepeated: true, after: [(Self.anchor, prepared())])
        let before = Timestamp(nanoseconds: 40)
        let actions = machine.received(.committedBefore(before), from: Self.other)
        #expect(
            actions == [
                .finish(.committed(before)),
                .recover(Self.id, [Participant(Self.anchor), Participant(Self.other)], metIn: Self.other),
            ], "what this attempt has prepared is cleared away")
        #expect(machine.isOver)
    }

    // MARK: Wounds

    @Test func aWoundedOneWaitsForTheAnchorToForbidIt() {
        var machine = coordinator(after: [(Self.other, prepared())])
        #expect(machine.wound() == [.resolve(Self.anchor, .forbid)])
        let actions = machine.received(.standing(.aborted, after: .forbid), from: Self.anchor)
        #expect(error(of: actions)?.code == .conflict)
        #expect(error(of: actions)?.retry == .immediately)
        #expect(actions.dropFirst() == [.resolve(Self.other, .abort)])
    }

    @Test func aWoundedOneThatIsNotStagedMakesWayAtOnce() {
        var machine = coordinator(readers: [Self.reader], after: [(Self.other, prepared())])
        let actions = machine.wound()
        #expect(error(of: actions)?.code == .conflict)
        #expect(actions.dropFirst() == [.resolve(Self.other, .abort)])
        #expect(machine.isOver)
    }

    @Test func aWoundComesTooLateForADecision() {
        var machine = coordinator(after: [(Self.anchor, prepared()), (Self.other, prepared())])
        #expect(machine.wound().isEmpty)
        #expect(!machine.isOver)
    }

    @Test func aWoundComesTooLateWhenTheAnchorWasAskedToDecide() {
        var machine = coordinator(after: [(Self.anchor, prepared()), (Self.other, prepared(at: Self.pushed))])
        #expect(machine.wound().isEmpty)
    }

    /// The older one may hold what a reader waits for, so both would wait until somebody's time is up.
    @Test func aPushedOneThatWaitsForItsReadersMakesWay() {
        var machine = coordinator(
            readers: [Self.reader],
            after: [(Self.reader, .confirmed), (Self.other, prepared(at: Self.pushed)), (Self.anchor, prepared())])
        #expect(machine.wound() == [.resolve(Self.anchor, .forbid)])
        #expect(machine.received(.confirmed, from: Self.reader).isEmpty, "it is given up")
    }

    @Test func aSecondWoundChangesNothing() {
        var machine = coordinator(after: [])
        _ = machine.wound()
        #expect(machine.wound().isEmpty)
    }

    // MARK: Late answers

    @Test func nothingIsTakenUpWhenItIsOver() {
        var machine = coordinator(after: [(Self.other, refused())])
        #expect(machine.isOver)
        #expect(machine.received(prepared(), from: Self.anchor).isEmpty)
        #expect(machine.received(prepared(), from: Self.other).isEmpty)
        #expect(machine.received(.standing(.aborted, after: .abort), from: Self.anchor).isEmpty)
        #expect(machine.recovered(in: Self.other).isEmpty)
        #expect(machine.wound().isEmpty)
    }

    @Test func anAnswerToAnEarlierQuestionDoesNotEndAnAbort() {
        var machine = coordinator(after: [(Self.other, refused(wasRepeated: true))])
        #expect(machine.received(.standing(.aborted, after: .query), from: Self.anchor).isEmpty)
        #expect(machine.received(.standing(.committed(Self.candidate), after: .abort), from: Self.anchor).isEmpty)
        #expect(!machine.isOver)
    }

    @Test func anAnswerToAForbidTellsNobodyOfACommit() {
        let commit = Resolution.commit(at: Self.candidate)
        var machine = coordinator(
            after: [
                (Self.other, refused(wasRepeated: true)),
                (Self.anchor, .standing(.committed(Self.candidate), after: .forbid)),
            ])
        #expect(machine.received(.standing(.committed(Self.candidate), after: .forbid), from: Self.other).isEmpty)
        #expect(!machine.isOver)
        let actions = machine.received(.standing(.committed(Self.candidate), after: commit), from: Self.other)
        #expect(actions == [.resolve(Self.anchor, .forget), .resolve(Self.other, .forget)])
    }
}
