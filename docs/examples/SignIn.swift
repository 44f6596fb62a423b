// GoogleSignIn 9, iOS and macOS. Info.plist: GIDClientID is the iOS client, GIDServerClientID the *web* client.

import Foundation
import GoogleSignIn
import UIKit

struct Connected: Decodable {
    struct User: Decodable { let id: String; let email: String? }
    struct Session: Decodable { let token: String; let expires_in: Int }
    struct Warning: Decodable { let code: String; let detail: String }

    let user: User
    let missing_scopes: [String]
    let offline_access: Bool
    let warnings: [Warning]
    let session: Session
}

struct Problem: Decodable, Error {
    let code: String
    let detail: String
    let request_id: String
}

enum SignInError: Error { case noCode }

let locum = URL(string: "https://locum.example.org")!

/// Signs in at Google and hands the code to locum. Call it from a button.
@MainActor
func connect(presenting viewController: UIViewController) async throws -> Connected {
    let result = try await GIDSignIn.sharedInstance.signIn(
        withPresenting: viewController,
        hint: nil,
        additionalScopes: ["https://www.googleapis.com/auth/drive.appdata"]
    )
    // None without GIDServerClientID, and none from restorePreviousSignIn: renew the session there instead.
    guard let code = result.serverAuthCode else { throw SignInError.noCode }
    return try await post(
        "v1/exchange",
        ["code": code, "source": "ios"],
        // The same key with the same code gives the first answer again, for ten minutes: repeat this very
        // request when the connection broke.
        headers: ["Idempotency-Key": UUID().uuidString]
    )
}

struct Renewed: Decodable { let session: Connected.Session }

/// A new session for a person who is connected already, without a code: at each start, and after a 401.
func renewSession() async throws -> Renewed {
    let user = try await GIDSignIn.sharedInstance.restorePreviousSignIn().refreshTokensIfNeeded()
    return try await post("v1/session", ["id_token": user.idToken?.tokenString ?? ""])
}

private func post<Answer: Decodable>(
    _ path: String, _ fields: [String: String], headers: [String: String] = [:]
) async throws -> Answer {
    var request = URLRequest(url: locum.appendingPathComponent(path))
    request.httpMethod = "POST"
    request.setValue("application/json", forHTTPHeaderField: "Content-Type")
    request.setValue("SignIn.swift", forHTTPHeaderField: "X-Requested-With")
    for (name, value) in headers { request.setValue(value, forHTTPHeaderField: name) }
    request.httpBody = try JSONEncoder().encode(fields)
    let (body, response) = try await URLSession.shared.data(for: request)
    guard (response as? HTTPURLResponse)?.statusCode == 200 else {
        throw try JSONDecoder().decode(Problem.self, from: body)
    }
    return try JSONDecoder().decode(Answer.self, from: body)
}
