import MeridianCore

/// One request to change a group's members: the whole target, from which the algebra derives the joint step.
package struct MembershipChange: Hashable, Sendable {
    /// The members after the change. Who is to vote must be added as a learner first.
    package var target: [Member]
    /// The rule that the target must be able to meet, if it is to be another one than the present.
    package var rule: CommitRule?
    /// Learners may become voters although they lag, as long as enough others do not: it is the same as a voter that is
    /// down.
    package var takesStragglers: Bool

    package init(target: [Member], rule: CommitRule? = nil, takesStragglers: Bool = false) {
        self.target = target
        self.rule = rule
        self.takesStragglers = takesStragglers
    }
}
