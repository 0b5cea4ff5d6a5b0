/// What clients were told and what the outside world recorded, in the time of many crashes.
struct Evidence: Sendable {
    /// A change of a counter that was acknowledged, or (without a delta) a look at it. `began` and `ended`
    /// are places in one order of everything that the clients did.
    struct CounterReply: Sendable {
        var counter: String
        /// Names the request; nil for a look.
        var delta: Int?
        var total: Int
        var began: Int
        var ended: Int
    }

    /// A step as the history tells of it when everything is over.
    struct Step: Sendable {
        var path: String
        var key: String
        var status: String
        var attempts: Int
        /// All tries that the step's policy allows.
        var attemptsMax = 4
    }

    struct Run: Sendable {
        var name: String
        var status: String
        /// In the order of the program.
        var steps: [Step]
        /// The paths of the steps that a complete run has.
        var expectedSteps: [String]
        /// Parts of the actor's state that follow from the run: what they are and what they should be.
        var state = ""
        var expectedState = ""
        /// Messages left in its queues.
        var leftMessages = 0
    }

    /// Jobs that one worker was sent one after the other, each named by the path that it calls.
    struct Jobs: Sendable {
        var worker: String
        var sent: [String]
        var processed: Int
        /// Tries that each job's step may take.
        var attemptsMax = 6
        var leftMessages = 0
        /// The step that ended the worker's run, if it failed.
        var failedStep: Step?
    }

    /// A line of the outside world's record.
    enum Line: Sendable {
        case call(key: String, path: String, status: Int)
        /// A client had seen the step of this key completed before this line was written.
        case seen(key: String)
    }

    var replies: [CounterReply] = []
    /// What the counters hold at the end.
    var finalCounts: [String: Int] = [:]
    var runs: [Run] = []
    var jobs: [Jobs] = []
    var lines: [Line] = []
}
