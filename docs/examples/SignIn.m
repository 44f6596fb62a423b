// GoogleSignIn 9. Info.plist: GIDClientID is the iOS client, GIDServerClientID the *web* client.

@import GoogleSignIn;

typedef void (^LocumCompletion)(NSDictionary *answer, NSError *error);

/// Signs in at Google and hands the code to locum. `answer` is locum's answer, or its problem.
void LocumConnect(UIViewController *viewController, LocumCompletion completion) {
    [GIDSignIn.sharedInstance
        signInWithPresentingViewController:viewController
                                      hint:nil
                          additionalScopes:@[ @"https://www.googleapis.com/auth/drive.appdata" ]
                                completion:^(GIDSignInResult *result, NSError *error) {
        if (result.serverAuthCode == nil) {
            // Cancelled, or GIDServerClientID is missing in Info.plist.
            completion(nil, error);
            return;
        }
        NSURL *url = [NSURL URLWithString:@"https://locum.example.org/v1/exchange"];
        NSMutableURLRequest *request = [NSMutableURLRequest requestWithURL:url];
        request.HTTPMethod = @"POST";
        [request setValue:@"application/json" forHTTPHeaderField:@"Content-Type"];
        [request setValue:@"SignIn.m" forHTTPHeaderField:@"X-Requested-With"];
        [request setValue:NSUUID.UUID.UUIDString forHTTPHeaderField:@"Idempotency-Key"];
        request.HTTPBody = [NSJSONSerialization
            dataWithJSONObject:@{ @"code" : result.serverAuthCode, @"source" : @"ios" }
                       options:0
                         error:nil];
        [[NSURLSession.sharedSession
            dataTaskWithRequest:request
              completionHandler:^(NSData *body, NSURLResponse *response, NSError *error) {
            id answer = body ? [NSJSONSerialization JSONObjectWithData:body options:0 error:nil] : nil;
            completion(answer, error);
        }] resume];
    }];
}
