import Apus
import Foundation

/// The announced programs under their announced names, and those by which `apus-load` proves a cluster, whose
/// names begin with `verify`.
public struct AnnouncedRegistry: Registry {
    public let onboarding: Onboarding
    public let order: Order
    public let counter = Counter()
    public let worker: Worker
    public let emailDrip: EmailDrip
    public let agent: Agent
    public let orderProcessor: OrderProcessor
    public let verifyAccount = VerifyAccount()
    public let verifyTeller = VerifyTeller()
    public let verifyAlarm: VerifyAlarm

    public init() { self.init(outside: Outside()) }

    /// - Parameter day: how long a day of the email drip is; by default from `APUS_EXAMPLE_DAY_SECONDS`, or a
    ///   day.
    public init(outside: Outside, day: Duration? = nil) {
        let seconds = ProcessInfo.processInfo.environment["APUS_EXAMPLE_DAY_SECONDS"].flatMap(Double.init)
        onboarding = Onboarding(outside: outside)
        order = Order(outside: outside)
        worker = Worker(outside: outside)
        emailDrip = EmailDrip(outside: outside, day: day ?? .seconds(seconds ?? 86_400))
        agent = Agent(outside: outside)
        orderProcessor = OrderProcessor(outside: outside)
        verifyAlarm = VerifyAlarm(outside: outside)
    }
}
