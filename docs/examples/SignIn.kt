// com.google.android.gms:play-services-auth 21. An Android client (package name, SHA-1) must exist in the same
// Google project; the id below is the *web* client's. Call sites outside of this file are the app's own.

import androidx.activity.ComponentActivity
import androidx.activity.result.IntentSenderRequest
import androidx.activity.result.contract.ActivityResultContracts.StartIntentSenderForResult
import com.google.android.gms.auth.api.identity.AuthorizationRequest
import com.google.android.gms.auth.api.identity.AuthorizationResult
import com.google.android.gms.auth.api.identity.Identity
import com.google.android.gms.common.api.Scope
import java.net.HttpURLConnection
import java.net.URL
import java.util.UUID
import kotlin.concurrent.thread
import org.json.JSONObject

private const val WEB_CLIENT_ID = "402839145520-r7d1s0example.apps.googleusercontent.com"
private const val LOCUM = "https://locum.example.org"

class SignInActivity : ComponentActivity() {
    private val consent = registerForActivityResult(StartIntentSenderForResult()) { result ->
        handOver(Identity.getAuthorizationClient(this).getAuthorizationResultFromIntent(result.data))
    }

    fun connect() {
        val scopes = listOf("openid", "email", "profile", "https://www.googleapis.com/auth/drive.appdata")
        val request = AuthorizationRequest.builder()
            .setRequestedScopes(scopes.map(::Scope))
            // `requestOfflineAccess(WEB_CLIENT_ID, true)` asks for consent again: needed when locum answers
            // `offline_access: false`, which is when Google sent no refresh token and none is stored.
            .requestOfflineAccess(WEB_CLIENT_ID)
            .build()
        Identity.getAuthorizationClient(this).authorize(request).addOnSuccessListener { result ->
            val pending = result.pendingIntent
            if (result.hasResolution() && pending != null) {
                consent.launch(IntentSenderRequest.Builder(pending.intentSender).build())
            } else {
                handOver(result)
            }
        }
    }

    private fun handOver(result: AuthorizationResult) {
        val code = result.serverAuthCode ?: return
        thread { connected(exchange(code)) }
    }

    /** The answer, or a problem with `code` and `detail`. */
    private fun exchange(code: String): JSONObject {
        val connection = URL("$LOCUM/v1/exchange").openConnection() as HttpURLConnection
        connection.requestMethod = "POST"
        connection.doOutput = true
        connection.setRequestProperty("Content-Type", "application/json")
        connection.setRequestProperty("X-Requested-With", "SignIn.kt")
        connection.setRequestProperty("Idempotency-Key", UUID.randomUUID().toString())
        val body = JSONObject(mapOf("code" to code, "source" to "android"))
        connection.outputStream.use { it.write(body.toString().toByteArray()) }
        val answer = if (connection.responseCode == 200) connection.inputStream else connection.errorStream
        return JSONObject(answer.reader().use { it.readText() })
    }

    private fun connected(answer: JSONObject) {
        // answer.getJSONObject("session").getString("token") is the session.
    }
}
