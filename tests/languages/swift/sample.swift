import Foundation

let defaultTimeout: TimeInterval = 30
public typealias Handler = (Result<Data, Error>) -> Void

/// What went wrong.
public enum NetworkError: Error {
    case timeout
    case status(Int), refused

    var code: Int {
        switch self {
        case .status(let n): return n
        default: return -1
        }
    }
}

public protocol Requesting: AnyObject {
    associatedtype Body
    var url: URL { get }
    func start(_ handler: @escaping Handler) throws
}

@available(iOS 13, *)
open class Session: NSObject {
    public static let shared = Session()
    private var tasks: [Int: URLSessionTask] = [:]

    public init(configuration: URLSessionConfiguration = .default) {
        super.init()
    }

    deinit {
        tasks.removeAll()
    }

    // Cancels what was begun before.
    @discardableResult
    open func send<T: Encodable>(_ body: T, to url: URL, retry count: Int = 3) async throws -> Data {
        func attempt(_ left: Int) throws -> Data {
            guard left > 0 else { throw NetworkError.timeout }
            return Data()
        }
        return try attempt(count)
    }

    subscript(id: Int) -> URLSessionTask? {
        return tasks[id]
    }

    struct Options {
        var headers: [String: String] = [:]
        mutating func add(_ name: String, value: String) {
            headers[name] = value
        }
    }
}

extension Session: URLSessionDelegate {
    public func urlSession(_ session: URLSession, didBecomeInvalidWithError error: Error?) {
        tasks = [:]
    }
}

actor Counter {
    private var value = 0
    func increment() -> Int {
        value += 1
        return value
    }
}

func == (a: Session.Options, b: Session.Options) -> Bool {
    return a.headers == b.headers
}

func broken(_ x: Int -> {
